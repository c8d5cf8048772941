/** Parts of forms, with the accessible behaviour of react-aria-components. */
import type { ReactNode } from 'react'
import {
  Button as AriaButton,
  FieldError,
  Input,
  Label,
  Text,
  TextField,
  type ButtonProps,
  type TextFieldProps,
} from 'react-aria-components'
import type { Problem } from '../api/problem'
import { useSay } from '../texts/texts'

export function Button(props: ButtonProps & { look?: 'main' | 'plain' | 'danger' }) {
  const { look = 'plain', ...others } = props
  return <AriaButton {...others} className={`button ${look}`} />
}

/** error: what the API said of it. It is shown, and keeps nobody from sending the form again. */
export function TextInput(
  props: TextFieldProps & { label: string; hint?: string; error?: string | undefined; list?: string },
) {
  const { label, hint, error, list, ...others } = props
  const state = error === undefined ? {} : { isInvalid: true, validationBehavior: 'aria' as const }
  return (
    <TextField {...others} {...state} className="field">
      <Label>{label}</Label>
      <Input list={list} />
      {hint !== undefined && <Text slot="description">{hint}</Text>}
      <FieldError>{error}</FieldError>
    </TextField>
  )
}

/** What the API said of something that is no single field. */
export function FieldFaults(props: { faults: readonly string[] }) {
  return (
    <div role="status" className="faults">
      {props.faults.map((fault, place) => <p key={place}>{fault}</p>)}
    </div>
  )
}

/** A short text that stands out. Bad ones are read out at once. */
export function Note(props: { kind: 'good' | 'bad' | 'plain'; children: ReactNode }) {
  return (
    <div className={`note ${props.kind}`} role={props.kind === 'bad' ? 'alert' : 'status'}>
      {props.children}
    </div>
  )
}

/** What went wrong and what to do, by the problem's code. texts: names of other texts, by code. */
export function ProblemNote(props: { problem: Problem; texts?: Record<string, string> }) {
  const say = useSay()
  const { code, document } = props.problem
  const name = props.texts?.[code] ?? `problem-${code.replaceAll('_', '-')}`
  const text = say(name)
  return (
    <Note kind="bad">
      <p>{text === name ? document.detail || say('problem-unexpected') : text}</p>
      {document.errors?.map((fault, place) => <p key={place}>{fault.message}</p>)}
      {document.request_id !== undefined && (
        <p className="small">{say('request-id', { id: document.request_id })}</p>
      )}
    </Note>
  )
}
