/** Parts of forms, with the accessible behaviour of react-aria-components. */
import { useId, type ChangeEvent, type ReactNode } from 'react'
import {
  Button as AriaButton,
  FieldError,
  Input,
  Label,
  Text,
  TextArea,
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

interface TextInputProps extends TextFieldProps {
  label: string
  hint?: string | undefined
  placeholder?: string | undefined
  /** How many lines there is room for; unless given, it is one line. */
  lines?: number
  /** What the API said of it. It is shown, and keeps nobody from sending the form again. */
  error?: string | undefined
  list?: string
}

export function TextInput(props: TextInputProps) {
  const { label, hint, placeholder = '', lines, error, list, ...others } = props
  const state = error === undefined ? {} : { isInvalid: true, validationBehavior: 'aria' as const }
  return (
    <TextField {...others} {...state} className="field">
      <Label>{label}</Label>
      {lines === undefined ? <Input placeholder={placeholder} list={list} /> : <TextArea rows={lines} />}
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

/** A choice of yes or no. */
export function Check(props: { name?: string; label: string; hint?: string; isChecked: boolean; onChange?: (isChecked: boolean) => void }) {
  const id = useId()
  const { isChecked, onChange } = props
  const state = onChange
    ? { checked: isChecked, onChange: (event: ChangeEvent<HTMLInputElement>) => onChange(event.target.checked) }
    : { defaultChecked: isChecked }
  return (
    <div className="check">
      <input id={id} type="checkbox" name={props.name} aria-describedby={props.hint && `${id}-hint`} {...state} />
      <label htmlFor={id}>{props.label}</label>
      {props.hint && <span id={`${id}-hint`} className="small">{props.hint}</span>}
    </div>
  )
}

/** What went wrong and what to do, by the problem's code. texts: names of other texts, by code.
 *  fields: places of fields that show themselves what is wrong with them. */
export function ProblemNote(props: { problem: Problem; texts?: Record<string, string>; fields?: readonly string[] }) {
  const say = useSay()
  const { code, document } = props.problem
  const name = props.texts?.[code] ?? `problem-${code.replaceAll('_', '-')}`
  const text = say(name)
  const elsewhere = document.errors?.filter(({ pointer }) => !props.fields?.includes(pointer?.slice(1) ?? ''))
  return (
    <Note kind="bad">
      <p>{text === name ? document.detail || say('problem-unexpected') : text}</p>
      {elsewhere?.map((fault, place) => <p key={place}>{fault.message}</p>)}
      {document.request_id !== undefined && (
        <p className="small">{say('request-id', { id: document.request_id })}</p>
      )}
    </Note>
  )
}
