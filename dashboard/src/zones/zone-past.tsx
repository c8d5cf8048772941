/** Who was in a zone, also before it was drawn: the visits that it would have told. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { ExportLater } from '../jobs/export-later'
import { useAssetNames } from '../live/live'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { durationText, timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Note, ProblemNote } from '../ui/forms'
import type { Zone } from './shapes'

const DAY_MS = 86_400_000
const AROUND_MS = 15 * 60_000 // what History shows before and after
const DAYS = ['', '1', '7', '31'] as const
type PastVisit = Schemas['PastVisit']

function sinceOf(days: string): string {
  return new Date(Date.now() - Number(days) * DAY_MS + 60_000).toISOString()
}

function usePast(zoneId: string, days: string) {
  return useQuery({
    queryKey: ['zones', zoneId, 'past', days],
    queryFn: ({ signal }) => {
      const query = { from: sinceOf(days) }
      return data(api.GET('/v1/zones/{id}/past-visits', { params: { path: { id: zoneId }, query }, signal }))
    },
    enabled: days !== '',
  })
}

export function ZonePast(props: { zone: Zone }) {
  const say = useSay()
  const [days, setDays] = useState<string>('')
  const past = usePast(props.zone.id, days)
  const mayExportLater = useHasRole('dispatcher')
  return (
    <section aria-label={say('past')}>
      <h3>{say('past')}</h3>
      <p className="small">{say('past-hint')}</p>
      <Choice
        label={say('past-days')}
        value={days}
        values={DAYS}
        texts={DAYS.map((each) => (each === '' ? say('past-none') : say('past-last', { days: Number(each) })))}
        onChoose={setDays}
      />
      {past.error && <ProblemNote problem={problemOf(past.error)} />}
      {past.isFetching && <p className="waiting">{say('loading')}</p>}
      {past.data?.data.length === 0 && <Note kind="plain">{say('past-nobody')}</Note>}
      {past.data?.is_cut && <Note kind="plain">{say('past-cut')}</Note>}
      <ul className="visits">
        {[...(past.data?.data ?? [])].reverse().map((visit) => (
          <PastRow key={`${visit.asset_id} ${visit.entered_at}`} visit={visit} />
        ))}
      </ul>
      {past.data && mayExportLater && <PastFile key={`${props.zone.id} ${days}`} zoneId={props.zone.id} days={days} />}
    </section>
  )
}

/** All of the days that were chosen, as a file. */
function PastFile(props: { zoneId: string; days: string }) {
  const [filters] = useState({ zone_id: props.zoneId, from: sinceOf(props.days) })
  return <ExportLater list="past-visits" form="csv" filters={filters} />
}

/** A visit leads to the way of the machine at that time. */
function PastRow(props: { visit: PastVisit }) {
  const say = useSay()
  const language = useLanguage()
  const { visit } = props
  const name = useAssetNames().find(({ id }) => id === visit.asset_id)?.name ?? visit.asset_id
  const entered = Date.parse(visit.entered_at)
  const left = visit.left_at === null ? Date.now() : Date.parse(visit.left_at)
  const to = Math.min(left + AROUND_MS, entered - AROUND_MS + DAY_MS)
  return (
    <li className="visit">
      <Link to={`/history?asset=${visit.asset_id}&from=${entered - AROUND_MS}&to=${to}`}><b dir="auto">{name}</b></Link>
      <span className="small">
        {timeText(language, visit.entered_at)}
        {visit.left_at !== null && ` – ${timeText(language, visit.left_at)}`}
        {visit.duration_s !== null && ` · ${durationText(say, visit.duration_s)}`}
        {visit.entry_inferred === 'segment' && <span className="tag">{say('mark-segment')}</span>}
        {visit.entry_cause === 'initial' && <span className="tag">{say('mark-initial')}</span>}
      </span>
    </li>
  )
}
