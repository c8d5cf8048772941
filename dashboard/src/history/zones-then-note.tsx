import { useSay } from '../texts/texts'
import { Note } from '../ui/forms'
import type { Difference } from './zones-then'

const MOST_NAMED = 8

/** Which of the zones that are shown are not like that today. */
export function ZonesThenNote(props: { differences: readonly Difference[] }) {
  const say = useSay()
  const { differences } = props
  if (differences.length === 0) return null
  return (
    <Note kind="plain">
      <p>{say('zones-then')}</p>
      <ul className="zones-then">
        {differences.slice(0, MOST_NAMED).map(({ id, name, changes }) => (
          <li key={id}>
            <b dir="auto">{name}</b> {changes.length === 0 ? say('zone-then-deleted') : say('zone-then-changed', { what: changes.map((text) => say(text)).join(', ') })}
          </li>
        ))}
      </ul>
      {differences.length > MOST_NAMED && <p>{say('zones-then-more', { count: differences.length - MOST_NAMED })}</p>}
    </Note>
  )
}
