import { isPerson } from '../live/people'
import type { State } from '../live/positions'
import { personPath } from './marks'

/** The name of the text of a state: people walk, too. */
export function stateName(id: string, state: State): string {
  return state === 'moving' && isPerson(id) ? 'person-moving' : `state-${state}`
}

/** The mark of an asset or an employee in a list: what the map shows, without a heading. */
export function Mark(props: { id: string; state: State }) {
  if (isPerson(props.id)) return <PersonMark state={props.state} />
  return <span className={`mark ${props.state}`} aria-hidden="true" />
}

export function PersonMark(props: { state: State }) {
  return (
    <svg className={`person-mark ${props.state}`} viewBox="0 0 40 40" aria-hidden="true">
      <path d={personPath(props.state)} />
      <path className="person-figure" d={personPath('figure')} />
    </svg>
  )
}
