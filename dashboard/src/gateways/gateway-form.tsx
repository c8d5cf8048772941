import { useState, type FormEvent } from 'react'
import type { Schemas } from '../api/client'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Button, Note, TextInput } from '../ui/forms'
import { EXAMPLE_MAPPING, KINDS, PROGRAMS, type Kind } from './kinds'

export type Given = { name: string; kind: Kind; auto_register: string | null; mapping?: Schemas['GatewayMapping'] }

/** The fields of a gateway: of a new one, or of one that is there, whose kind stays. */
export function GatewayForm(props: {
  gateway?: Schemas['GatewayItem']
  isPending: boolean
  save: (given: Given, onSuccess: () => void) => void
  cancel?: () => void
}) {
  const say = useSay()
  const { gateway, save, cancel } = props
  const [kind, setKind] = useState<Kind>(gateway?.kind ?? 'traccar')
  const [isJson, setIsJson] = useState(true)

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const given = new FormData(form)
    const auto_register = String(given.get('auto_register')).trim() || null
    const body: Given = { name: String(given.get('name')), kind, auto_register }
    if (kind === 'generic') {
      try {
        body.mapping = JSON.parse(String(given.get('mapping')))
      } catch {
        setIsJson(false)
        return
      }
    }
    setIsJson(true)
    save(body, () => form.reset())
  }

  const mapping = JSON.stringify(gateway?.mapping ?? EXAMPLE_MAPPING, null, 2)
  return (
    <form onSubmit={submit} className="stack">
      <div className="fields">
        <TextInput name="name" label={say('name')} defaultValue={gateway?.name ?? ''} isRequired maxLength={200} />
        {gateway === undefined && (
          <Choice label={say('kind')} value={kind} values={KINDS} texts={KINDS.map((each) => PROGRAMS[each].title)} onChoose={setKind} />
        )}
        <TextInput
          name="auto_register"
          label={say('auto-register')}
          hint={say('auto-register-hint')}
          defaultValue={gateway?.auto_register ?? ''}
          placeholder="70B3D5*"
          maxLength={64}
        />
      </div>
      {kind === 'generic' && (
        <TextInput name="mapping" label={say('mapping')} hint={say('mapping-hint')} defaultValue={mapping} lines={9} isRequired />
      )}
      {!isJson && <Note kind="bad">{say('mapping-not-json')}</Note>}
      <div className="row">
        <Button type="submit" look="main" isPending={props.isPending}>{say(gateway === undefined ? 'add-gateway' : 'save')}</Button>
        {cancel !== undefined && <Button onPress={cancel}>{say('cancel')}</Button>}
      </div>
    </form>
  )
}
