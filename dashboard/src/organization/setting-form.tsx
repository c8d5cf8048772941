import type { UseMutationResult } from '@tanstack/react-query'
import { useMemo, useState, type FormEvent, type ReactNode } from 'react'
import { Form } from 'react-aria-components'
import { faultsOf, problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'
import { numberText } from './numbers'
import { settingText, textName, type Setting } from './settings'
import type { Organization } from './organization'

/** A form of settings that belong together. `read` gives the body of the change and the places
 *  where no number stands. Who may not change settings only reads them. */
export function SettingForm<Body extends object>(props: {
  title: string
  hint?: string
  /** The places of its fields. */
  fields: readonly string[]
  change: UseMutationResult<unknown, Error, Body>
  read: (given: FormData) => { body: Body; bad: string[] }
  children: ReactNode
}) {
  const say = useSay()
  const mayChange = useHasRole('admin')
  const [bad, setBad] = useState<readonly string[]>([])
  const { change } = props
  const problem = useMemo(() => (change.error === null ? null : problemOf(change.error)), [change.error])
  const faults = useMemo(
    () => ({ ...faultsOf(problem), ...Object.fromEntries(bad.map((place) => [place, say('number-wanted')])) }),
    [bad, problem, say],
  )

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const { body, bad } = props.read(new FormData(event.currentTarget))
    setBad(bad)
    if (bad.length > 0) change.reset()
    else change.mutate(body)
  }

  return (
    <section id={props.title} className="card" aria-label={say(props.title)}>
      <h2>{say(props.title)}</h2>
      {props.hint && <p>{say(props.hint)}</p>}
      <Form onSubmit={submit} validationErrors={faults} className="stack">
        <fieldset disabled={!mayChange} className="stack" onChange={() => change.isSuccess && change.reset()}>
          {props.children}
        </fieldset>
        {problem && <ProblemNote problem={problem} fields={props.fields} />}
        {change.isSuccess && <Note kind="good">{say('saved')}</Note>}
        {mayChange && (
          <div className="row">
            <Button type="submit" look="main" isPending={change.isPending}>{say('save')}</Button>
          </div>
        )}
      </Form>
    </section>
  )
}

/** Fields of settings that are numbers. Where nothing is given the default holds, which is shown. */
export function NumberFields(props: { settings: readonly Setting[]; organization: Organization }) {
  const language = useLanguage()
  return (
    <div className="fields">
      {props.settings.map((setting) => (
        <NumberField
          key={setting.place}
          name={setting.place}
          unit={setting.unit}
          standard={numberText(language, setting.standard, setting.factor)}
          defaultValue={settingText(language, setting, props.organization)}
          isPlain={setting.isPlain ?? false}
        />
      ))}
    </div>
  )
}

/** A field of a number, with what it is for. `standard`: what holds where it is empty. */
export function NumberField(props: {
  name: string
  unit: string
  standard?: string
  isPlain?: boolean
  defaultValue?: string
  value?: string
  onChange?: (value: string) => void
}) {
  const say = useSay()
  const { name, unit, standard, isPlain, ...state } = props
  const label = say(textName(name))
  return (
    <TextInput
      {...state}
      name={name}
      inputMode="decimal"
      maxLength={20}
      label={unit === '' ? label : `${label}, ${unit}`}
      placeholder={standard}
      hint={isPlain ? undefined : say(`${textName(name)}-hint`)}
    />
  )
}
