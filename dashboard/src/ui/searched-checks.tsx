import { useState } from 'react'
import { Checks } from './choice'
import { TextInput } from './forms'

const MOST_SHOWN = 30 // beside those that are chosen

/** A choice of any number of many things, which are found by their names. One that is chosen and not there is shown by its id. */
export function SearchedChecks(props: {
  label: string
  searchLabel: string
  things: readonly { id: string; name: string }[]
  chosen: readonly string[]
  onChoose: (ids: string[]) => unknown
}) {
  const { things, chosen } = props
  const [wanted, setWanted] = useState('')
  const [once] = useState(() => new Set<string>()) // that were chosen: they stay, to be chosen again
  for (const id of chosen) once.add(id)
  const names = new Map(things.map(({ id, name }) => [id, name]))
  const found = things.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase())).slice(0, MOST_SHOWN)
  const ids = new Set([...found.map(({ id }) => id), ...once])
  const gone = [...once].filter((id) => !names.has(id))
  const shown = [...things.filter(({ id }) => ids.has(id)).map(({ id }) => id), ...gone] // a tick moves nothing
  return (
    <>
      <TextInput type="search" label={props.searchLabel} value={wanted} onChange={setWanted} />
      <div className="some">
        <Checks
          label={props.label}
          isLabelSeen={false}
          values={shown}
          texts={shown.map((id) => names.get(id) ?? id)}
          chosen={chosen}
          onChoose={props.onChoose}
        />
      </div>
    </>
  )
}
