import { useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import { usePages } from '../api/pages'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { given, SpanFilter, timeOf, useFilters } from '../ui/filters'
import { Button, Note, ProblemNote } from '../ui/forms'
import { ChangeTable } from './change-table'

const MOST = 1_000 // of a page
const FILTERS = ['kind', 'thing', 'user', 'from', 'to'] as const
export const KINDS = [
  'organization',
  'user',
  'api_key',
  'sign_in',
  'client',
  'site',
  'employee',
  'asset',
  'tracker',
  'gateway',
  'zone',
  'attachment',
  'punch',
  'timesheet',
  'part',
  'warehouse',
  'inventory',
  'quote',
  'work_order',
  'inspection_template',
  'inspection_form',
  'webhook_endpoint',
  'report_schedule',
] as const
type AuditEvent = Schemas['AuditEventItem']
type Kind = AuditEvent['resource_type']

/** Who changed what and when, newest first. */
export function AuditPage() {
  const say = useSay()
  const [filters, setFilters] = useFilters(FILTERS)
  const query = given({
    resource_type: filters.kind as Kind,
    resource_id: filters.thing,
    user_id: filters.user,
    from: timeOf(filters.from),
    to: timeOf(filters.to),
  })
  const events = usePages(['audit-events', query], (place) =>
    data(api.GET('/v1/audit-events', { params: { query: { ...query, ...place } } })),
  )
  const users = useQuery({
    queryKey: ['users'],
    queryFn: () => data(api.GET('/v1/users', { params: { query: { limit: MOST } } })),
  })
  const keys = useQuery({
    queryKey: ['api-keys'],
    queryFn: () => data(api.GET('/v1/api-keys', { params: { query: { limit: MOST } } })),
  })
  const people = users.data?.data ?? []
  const names = new Map([
    ...people.map(({ id, name, email }): [string, string] => [id, name ?? email]),
    ...(keys.data?.data ?? []).map(({ id, name }): [string, string] => [id, name]),
  ])
  const problem = events.error ?? users.error ?? keys.error
  return (
    <div className="page">
      <h1>{say('audit')}</h1>
      <p>{say('audit-hint')}</p>
      <div className="filters" role="group" aria-label={say('filters')}>
        <Choice
          label={say('kind-of-thing')}
          value={filters.kind as Kind | ''}
          values={['', ...KINDS]}
          texts={[say('all'), ...KINDS.map((kind) => say(kindName(kind)))]}
          onChoose={(kind) => setFilters({ kind })}
        />
        <Choice
          label={say('person')}
          value={filters.user}
          values={['', ...people.map(({ id }) => id)]}
          texts={[say('all'), ...people.map(({ name, email }) => name ?? email)]}
          onChoose={(user) => setFilters({ user })}
        />
        <SpanFilter from={filters.from} to={filters.to} onChange={setFilters} />
      </div>
      {filters.thing !== '' && (
        <div className="row line">
          <p>{say('only-of-thing')} <code>{filters.thing}</code></p>
          <Button onPress={() => setFilters({ thing: '' })}>{say('show-all')}</Button>
        </div>
      )}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {events.data?.length === 0 && <Note kind="plain">{say('no-changes')}</Note>}
      {events.isPending && <p className="waiting">{say('loading')}</p>}
      <ol className="feed" aria-label={say('audit')}>
        {events.data?.map((event, place) => (
          <ChangeRow key={`${event.seq} ${place}`} event={event} names={names} onThing={(thing) => setFilters({ thing, kind: '' })} />
        ))}
      </ol>
      {events.hasNextPage && (
        <Button onPress={() => void events.fetchNextPage()} isPending={events.isFetchingNextPage}>{say('older')}</Button>
      )}
    </div>
  )
}

function kindName(kind: string): string {
  return `thing-${kind.replaceAll('_', '-')}`
}

function ChangeRow(props: { event: AuditEvent; names: ReadonlyMap<string, string>; onThing: (id: string) => void }) {
  const say = useSay()
  const language = useLanguage()
  const { event, names } = props
  const who = event.user_id === null ? say('the-system') : (names.get(event.user_id) ?? event.user_id)
  const key = event.via === 'api_key' && event.credential_id !== null ? (names.get(event.credential_id) ?? event.credential_id) : null
  const name = nameIn(event)
  return (
    <li className="change">
      <p>
        <b dir="auto">{who}</b> {say(`did-${event.action}`)} <b>{say(kindName(event.resource_type))}</b>
        {name !== null && <> <bdi>“{name}”</bdi></>}
        {isPart(event) && <span className="tag">{event.table}</span>}
        {key !== null && <span className="tag">{say('by-key', { name: key })}</span>}
      </p>
      <p className="small">
        <time dateTime={event.occurred_at}>{timeText(language, event.occurred_at, 'second')}</time>
        {' · '}
        <button type="button" className="link" onClick={() => props.onThing(event.resource_id)}>{event.resource_id}</button>
        {event.request_id !== null && ` · ${say('request-id', { id: event.request_id })}`}
      </p>
      <details>
        <summary>{say('changed-fields', { count: Object.keys(event.changes).length })}</summary>
        <ChangeTable changes={event.changes} />
      </details>
    </li>
  )
}

/** Whether a part of the thing was changed, such as the tags of an asset. */
function isPart(event: AuditEvent): boolean {
  const { table, resource_type: type } = event
  return ![type, `${type}s`, `${type}es`].includes(table)
}

/** The name that the thing had or got, where the change has one. */
function nameIn(event: AuditEvent): string | null {
  const { name, title, email } = event.changes
  const change = name ?? title ?? email
  const found = change?.new ?? change?.old
  return typeof found === 'string' ? found : null
}
