import { useState } from 'react'
import { useAssetNames } from '../live/live'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { FieldFaults, TextInput } from '../ui/forms'
import { SearchedChecks } from '../ui/searched-checks'
import { tagsOf, type Chosen } from './facts'
import { faultsAt, type Fault } from './use-validation'

/** The machines that a zone bears on; null: all of them. */
export function AssetChoice(props: {
  chosen: Chosen | null
  faults: readonly Fault[]
  onChange: (chosen: Chosen | null) => void
}) {
  const say = useSay()
  const names = useAssetNames()
  const { chosen, faults, onChange } = props
  const [tags, setTags] = useState(chosen?.tags.join(', ') ?? '')
  return (
    <>
      <Choice
        label={say('machines')}
        hint={say('machines-hint')}
        value={chosen === null ? 'all' : 'some'}
        values={['all', 'some'] as const}
        texts={[say('machines-all'), say('machines-some')]}
        onChoose={(choice) => onChange(choice === 'all' ? null : { ids: [], tags: tagsOf(tags) })}
      />
      {chosen && (
        <div className="stack inset">
          <TextInput
            label={say('machines-tags')}
            hint={say('machines-tags-hint')}
            value={tags}
            onChange={(text) => {
              setTags(text)
              onChange({ ...chosen, tags: tagsOf(text) })
            }}
          />
          <SearchedChecks
            label={say('machines')}
            searchLabel={say('find-asset')}
            things={names}
            chosen={chosen.ids}
            onChoose={(ids) => onChange({ ...chosen, ids })}
          />
        </div>
      )}
      <FieldFaults faults={faultsAt(faults, '/assets')} />
    </>
  )
}
