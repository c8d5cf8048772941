import { useId } from 'react'

/** A choice of one of a few. `texts` are what is shown of the values, in their order. */
export function Choice<Value extends string>(props: {
  label: string
  name?: string
  value?: Value
  values: readonly Value[]
  texts: readonly string[]
  hint?: string | undefined
  isLabelSeen?: boolean
  onChoose?: (value: Value) => unknown
}) {
  const id = useId()
  const { value, onChoose } = props
  return (
    <div className="field">
      <label htmlFor={id} className={props.isLabelSeen === false ? 'unseen' : undefined}>
        {props.label}
      </label>
      <select
        id={id}
        name={props.name}
        aria-describedby={props.hint === undefined ? undefined : `${id}-hint`}
        {...(onChoose ? { value, onChange: (event) => onChoose(event.target.value as Value) } : { defaultValue: value })}
      >
        {props.values.map((each, place) => (
          <option key={each} value={each}>
            {props.texts[place]}
          </option>
        ))}
      </select>
      {props.hint !== undefined && <span id={`${id}-hint`} className="small">{props.hint}</span>}
    </div>
  )
}

/** A choice of any number of a few, in the order of `values`. */
export function Checks<Value extends string>(props: {
  label: string
  isLabelSeen?: boolean
  values: readonly Value[]
  texts: readonly string[]
  chosen: readonly Value[]
  onChoose: (chosen: Value[]) => unknown
}) {
  const { values, chosen, onChoose } = props
  const toggle = (value: Value) => onChoose(values.filter((each) => chosen.includes(each) !== (each === value)))
  return (
    <fieldset className="checks">
      <legend className={props.isLabelSeen === false ? 'unseen' : undefined}>{props.label}</legend>
      {values.map((value, place) => (
        <label key={value}>
          <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
          <span dir="auto">{props.texts[place]}</span>
        </label>
      ))}
    </fieldset>
  )
}
