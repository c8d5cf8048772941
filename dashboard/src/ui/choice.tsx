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
