import { useQuery } from '@tanstack/react-query'
import { problemOf } from '../api/problem'
import { api, data, type Schemas } from '../api/client'
import { distanceText, speedText } from '../texts/display'
import { useLanguage, useSay } from '../texts/texts'
import { durationText, timeText } from '../texts/times'
import { ProblemNote } from '../ui/forms'

type Trip = Schemas['TripItem']
type Stop = Schemas['StopItem']
type Part = Trip | Stop
const MOST = 500

const isTrip = (part: Part): part is Trip => 'distance_m' in part

/** The trips and stops of an asset in a time, in order. */
function useDay(asset: string, from: string, to: string) {
  return useQuery({
    queryKey: ['day', asset, from, to],
    queryFn: async ({ signal }): Promise<Part[]> => {
      const query = { asset_id: asset, from, to, sort: 'started_at' as const, limit: MOST }
      const asked = { params: { query }, signal }
      const [trips, stops] = await Promise.all([data(api.GET('/v1/trips', asked)), data(api.GET('/v1/stops', asked))])
      return [...trips.data, ...stops.data].sort((one, other) => Date.parse(one.started_at) - Date.parse(other.started_at))
    },
  })
}

/** What a machine did, a line for each trip and stop; a line leads to the moment when it began. */
export function DayLog(props: { asset: string; from: string; to: string; onShow: (at: number) => void }) {
  const say = useSay()
  const language = useLanguage()
  const day = useDay(props.asset, props.from, props.to)
  if (day.error) return <ProblemNote problem={problemOf(day.error)} />
  const parts = day.data ?? []
  const trips = parts.filter(isTrip)
  if (parts.length === 0) return null
  const driven_m = trips.reduce((sum, trip) => sum + trip.distance_m, 0)

  function facts(part: Part): string[] {
    const lasted = durationText(say, part.duration_s)
    if (isTrip(part)) {
      const told = [distanceText(part.distance_m), lasted]
      if (part.top_speed_mps !== null) told.push(say('trip-top', { speed: speedText(part.top_speed_mps) }))
      if (part.is_carried) told.push(say('trip-carried'))
      if (part.has_gap) told.push(say('trip-gap'))
      return told
    }
    const isIdle = part.idle_s !== null && part.idle_s >= 60
    return isIdle ? [lasted, say('stop-idle', { time: durationText(say, part.idle_s!) })] : [lasted]
  }

  return (
    <section className="day">
      <h2>{say('day')}</h2>
      <p>{say('day-sum', { count: trips.length, distance: distanceText(driven_m) })}</p>
      <ul className="visits" aria-label={say('day')}>
        {parts.map((part) => (
          <li key={`${isTrip(part) ? 'trip' : 'stop'} ${part.started_at}`}>
            <button type="button" onClick={() => props.onShow(Date.parse(part.started_at))}>
              <b dir="auto">{titleOf(part, say)}</b>
              <span className="small">
                {timeText(language, part.started_at)} – {part.ended_at === null ? say('day-open') : timeText(language, part.ended_at)}
              </span>
              <span className="small">{facts(part).join(' · ')}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

function titleOf(part: Part, say: ReturnType<typeof useSay>): string {
  if (isTrip(part)) {
    const [from, to] = [part.start_zones[0]?.name, part.end_zones[0]?.name]
    if (from !== undefined && to !== undefined) return say('trip-from-to', { from, to })
    return from !== undefined ? say('trip-from', { from }) : to !== undefined ? say('trip-to', { to }) : say('trip')
  }
  const zone = part.zones[0]?.name
  return zone === undefined ? say('stop') : say('stop-in', { zone })
}
