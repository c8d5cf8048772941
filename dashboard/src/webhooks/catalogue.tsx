import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { ProblemNote } from '../ui/forms'
import { typeText } from './types'
import { useEventTypes } from './use-event-types'

/** What events there are, each with what it says and an example. */
export function Catalogue() {
  const say = useSay()
  const types = useEventTypes()
  return (
    <section className="card" aria-label={say('catalogue')}>
      <h2>{say('catalogue')}</h2>
      <p>{say('catalogue-hint')}</p>
      {types.error && <ProblemNote problem={problemOf(types.error)} />}
      <ul className="catalogue">
        {types.data?.data.map(({ type, example }) => (
          <li key={type}>
            <details>
              <summary>
                <code>{type}</code> <span className="small detail">{say(typeText(type))}</span>
              </summary>
              <pre tabIndex={0}>{JSON.stringify(example, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ul>
    </section>
  )
}
