/** Numbers by the hour, as bars: those that went well, and those that did not above them. */
export interface HourCount {
  /** When the hour began, milliseconds since 1970. */
  at: number
  good: number
  bad: number
}

export const HOUR_MS = 3_600_000
const HEIGHT = 40

/** The hours of [from, to), those that are not known with nothing in them. */
export function everyHour(known: readonly HourCount[], from: number, to: number): HourCount[] {
  const counts = new Map(known.map((each) => [each.at, each]))
  const hours: HourCount[] = []
  for (let at = Math.floor(from / HOUR_MS) * HOUR_MS; at < to; at += HOUR_MS) {
    hours.push(counts.get(at) ?? { at, good: 0, bad: 0 })
  }
  return hours
}

export function HourChart(props: { label: string; hours: readonly HourCount[]; titleOf: (hour: HourCount) => string }) {
  const most = Math.max(1, ...props.hours.map(({ good, bad }) => good + bad))
  return (
    <svg className="hours" viewBox={`0 0 ${props.hours.length} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={props.label}>
      {props.hours.map((hour, place) => {
        const good = (hour.good / most) * HEIGHT
        const bad = (hour.bad / most) * HEIGHT
        return (
          <g key={hour.at}>
            <title>{props.titleOf(hour)}</title>
            <rect className="ground" x={place} width="0.9" height={HEIGHT} />
            {good > 0 && <rect className="good" x={place} y={HEIGHT - good} width="0.9" height={good} />}
            {bad > 0 && <rect className="bad" x={place} y={HEIGHT - good - bad} width="0.9" height={bad} />}
          </g>
        )
      })}
    </svg>
  )
}
