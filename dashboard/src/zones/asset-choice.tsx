import { useState } from 'react'
import { useAssetNames } from '../live/live'
import { useSay } from '../texts/texts'
import { Checks, Choice } from '../ui/choice'
import { FieldFaults, TextInput } from '../ui/forms'
import { tagsOf, type Chosen } from './facts'
import { faultsAt, type Fault } from './use-validation'

const MOST_SHOWN = 30 // beside those that are chosen

/** The machines that a zone bears on; null: all of them. */
export function AssetChoice(props: {
  chosen: Chosen | null
  faults: readonly Fault[]
  onChange: (chosen: Chosen | null) => void
}) {
  const say = useSay()
  const names = useAssetNames()
  const { chosen, faults, onChange } = props
  const [wanted, setWanted] = useState('')
  const [tags, setTags] = useState(chosen?.tags.join(', ') ?? '')
  const known = new Map(names.map(({ id, name }) => [id, name]))
  const found = names.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase())).slice(0, MOST_SHOWN)
  const ids = new Set([...found.map(({ id }) => id), ...(chosen?.ids ?? [])])
  const gone = chosen?.ids.filter((id) => !known.has(id)) ?? []
  const shown = [...names.filter(({ id }) => ids.has(id)).map(({ id }) => id), ...gone] // a tick moves nothing
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
          <TextInput type="search" label={say('find-asset')} value={wanted} onChange={setWanted} />
          <div className="some">
            <Checks
              label={say('machines')}
              isLabelSeen={false}
              values={shown}
              texts={shown.map((id) => known.get(id) ?? id)}
              chosen={chosen.ids}
              onChoose={(ids) => onChange({ ...chosen, ids })}
            />
          </div>
        </div>
      )}
      <FieldFaults faults={faultsAt(faults, '/assets')} />
    </>
  )
}
