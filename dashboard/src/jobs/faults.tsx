import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import type { Fault } from './jobs'

/** What is wrong with lines of a file, or with points of a track, each with its place. */
export function Faults(props: { faults: readonly Fault[]; hasMore: boolean }) {
  const say = useSay()
  const language = useLanguage()

  function placeOf({ line, column, time }: Fault): string {
    const where = [
      line == null ? null : say('fault-line', { line: String(line) }),
      column ?? null,
      time == null ? null : timeText(language, time, 'second'),
    ]
    return where.filter((part) => part !== null).join(', ')
  }

  return (
    <>
      <ul aria-label={say('job-faults')}>
        {props.faults.map((fault, place) => (
          <li key={place}><b dir="auto">{placeOf(fault)}</b> {fault.message}</li>
        ))}
      </ul>
      {props.hasMore && <p className="small">{say('job-more-faults')}</p>}
    </>
  )
}
