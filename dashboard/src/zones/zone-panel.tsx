import { Link } from 'react-router'
import { problemOf } from '../api/problem'
import { useAssetNames } from '../live/live'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { durationText, timeText } from '../texts/times'
import { Button, Note, ProblemNote } from '../ui/forms'
import { DAYS, NUMBERS, NUMBER_NAMES, numberText } from './facts'
import type { Zone } from './shapes'
import { ZonePast } from './zone-past'
import { changesOf, useAuthors, useVersions, useZoneVisits, type Version, type Visit } from './use-zone-history'

/** A zone that is chosen: its rules, who is inside, who was, and its versions. */
export function ZonePanel(props: {
  zone: Zone
  version: Version | null
  onVersion: (version: Version | null) => void
  onChange: () => void
  onRemove: () => void
  onBack: () => void
}) {
  const say = useSay()
  const mayChange = useHasRole('dispatcher')
  const { zone } = props
  return (
    <article className="stack" aria-label={zone.name}>
      <div><Button onPress={props.onBack}>{say('all-zones')}</Button></div>
      <h2 dir="auto">{zone.name}</h2>
      <ZoneFacts zone={props.version ?? zone} />
      {mayChange && (
        <div className="row">
          <Button onPress={props.onChange}>{say('change')}</Button>
          <Button look="danger" onPress={() => confirm(say('sure-delete', { name: zone.name })) && props.onRemove()}>
            {say('delete')}
          </Button>
        </div>
      )}
      <Visits title="inside-now" empty="nobody-inside" zone={zone} open />
      <Visits title="last-visits" empty="no-visits" zone={zone} open={false} />
      <ZonePast zone={zone} />
      <Versions zone={zone} chosen={props.version} onChoose={props.onVersion} />
    </article>
  )
}

/** What is set of a zone; what is as it is by default is left out. */
function ZoneFacts(props: { zone: Zone | Version }) {
  const say = useSay()
  const language = useLanguage()
  const names = new Map(useAssetNames().map(({ id, name }) => [id, name]))
  const { zone } = props
  const day = new Intl.DateTimeFormat(language, { weekday: 'short', timeZone: 'UTC' })
  const dayText = (name: (typeof DAYS)[number]) => day.format(Date.UTC(2024, 0, 1 + DAYS.indexOf(name)))
  const machines = zone.assets && [...zone.assets.ids.map((id) => names.get(id) ?? id), ...zone.assets.tags.map((tag) => `#${tag}`)]
  const shown = new Intl.NumberFormat(language, { maximumFractionDigits: 3 })
  const metres = [zone.radius_m, zone.width_m].filter((each) => each !== null)
  return (
    <dl className="facts">
      <dt>{say('kind')}</dt>
      <dd>{say(`kind-${zone.kind}`)}</dd>
      <dt>{say('shape')}</dt>
      <dd>{[say(`shape-${zone.geometry.type.toLowerCase()}`), ...metres.map((each) => `${shown.format(each)} m`)].join(', ')}</dd>
      {zone.alert_on && (
        <>
          <dt>{say('what-alerts')}</dt>
          <dd>{zone.alert_on.map((alert) => say(`alert-${alert.replace('_', '-')}`)).join(', ') || say('alert-none')}</dd>
        </>
      )}
      {machines && (
        <>
          <dt>{say('machines')}</dt>
          <dd dir="auto">{machines.join(', ')}</dd>
        </>
      )}
      {zone.schedule && (
        <>
          <dt>{say('hours')}</dt>
          <dd>
            {zone.schedule.windows.map((hours, place) => (
              <div key={place}>{hours.days.map(dayText).join(', ')} {hours.from}–{hours.to}</div>
            ))}
            <div className="small">{zone.schedule.timezone}</div>
          </dd>
        </>
      )}
      {NUMBER_NAMES.filter((name) => zone[name] !== null).map((name) => (
        <NumberFact key={name} title={say(NUMBERS[name].text)} text={shown.format(Number(numberText(name, zone[name])))} />
      ))}
    </dl>
  )
}

function NumberFact(props: { title: string; text: string }) {
  return (
    <>
      <dt>{props.title}</dt>
      <dd>{props.text}</dd>
    </>
  )
}

function Visits(props: { title: string; empty: string; zone: Zone; open: boolean }) {
  const say = useSay()
  const visits = useZoneVisits(props.zone.id, props.open)
  const names = new Map(useAssetNames().map(({ id, name }) => [id, name]))
  return (
    <section aria-label={say(props.title)}>
      <h3>{say(props.title)}</h3>
      {visits.error && <ProblemNote problem={problemOf(visits.error)} />}
      {visits.data?.data.length === 0 && <Note kind="plain">{say(props.empty)}</Note>}
      <ul className="visits">
        {visits.data?.data.map((visit) => (
          <VisitRow key={visit.id} visit={visit} name={names.get(visit.asset_id) ?? visit.asset_id} />
        ))}
      </ul>
    </section>
  )
}

function VisitRow(props: { visit: Visit; name: string }) {
  const say = useSay()
  const language = useLanguage()
  const { visit } = props
  const left = visit.left_at === null ? '' : ` – ${timeText(language, visit.left_at)}`
  return (
    <li className="visit">
      <Link to={`/?asset=${visit.asset_id}`}><b dir="auto">{props.name}</b></Link>
      <span className="small">
        {timeText(language, visit.entered_at)}{left}
        {visit.duration_s !== null && ` · ${durationText(say, visit.duration_s)}`}
        {marksOf(visit).map((mark) => <span key={mark} className="tag">{say(mark)}</span>)}
        {visit.overspeed_mps !== null && <span className="tag">{say('mark-overspeed', { speed: Math.round(visit.overspeed_mps * 3.6) })}</span>}
      </span>
    </li>
  )
}

const MARKS: Record<string, string> = {
  initial: 'mark-initial',
  zone_changed: 'mark-zone-changed',
  reassigned: 'mark-reassigned',
  silence: 'mark-silence',
  segment: 'mark-segment',
}

/** The names of the texts of what is not as usual with a visit. */
function marksOf(visit: Visit): string[] {
  const causes = [visit.entry_cause, visit.entry_inferred, visit.exit_cause, visit.exit_inferred]
  const marks = causes.flatMap((cause) => MARKS[cause ?? ''] ?? [])
  return [...new Set([...marks, ...(visit.dwelled_at === null ? [] : ['mark-dwell'])])]
}

function Versions(props: { zone: Zone; chosen: Version | null; onChoose: (version: Version | null) => void }) {
  const say = useSay()
  const language = useLanguage()
  const { zone, chosen, onChoose } = props
  const versions = useVersions(zone.id, zone.version)
  const authors = useAuthors(zone.id, zone.version)
  const rows = versions.data ?? []
  return (
    <section aria-label={say('versions')}>
      <h3>{say('versions')}</h3>
      <p className="small">{say('versions-hint')}</p>
      {versions.error && <ProblemNote problem={problemOf(versions.error)} />}
      <ul className="visits">
        {rows.map((version, place) => {
          const before = rows[place + 1]
          const changes = before ? changesOf(version, before).map((text) => say(text)) : []
          const isChosen = version.version === chosen?.version
          return (
            <li key={version.version}>
              <button type="button" aria-pressed={isChosen} onClick={() => onChoose(isChosen ? null : version)}>
                <b>{say('version-number', { number: version.version })}</b>
                <span className="small">
                  {timeText(language, version.created_at)}
                  {authors.get(version.version) && ` · ${authors.get(version.version)}`}
                </span>
                <span className="small">
                  {before ? changes.join(', ') || say('restored') : version.version === 1 && say('version-first')}
                </span>
              </button>
            </li>
          )
        })}
      </ul>
    </section>
  )
}
