import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data, type Schemas } from '../api/client'
import { usePages } from '../api/pages'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { given, SpanFilter, timeOf, useFilters } from '../ui/filters'
import { Button, Note, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { payloadText } from './payload'

const QUARANTINE = ['quarantine']
const MOST_TRACKERS = 1_000 // of a page
const FILTERS = ['reason', 'tracker', 'from', 'to'] as const
export const REASONS = [
  'undecodable',
  'no_position',
  'bad_coordinate',
  'future',
  'ancient',
  'unknown_tracker',
  'revoked_tracker',
  'rate',
  'oversize',
  'refused_by_database',
  'wrong_topic',
  'conflict',
  'unknown_employee',
] as const
type Message = Schemas['QuarantineItem']
type Reason = Message['reason']

/** Messages that arrived and were not stored, with the reason: released, or removed. */
export function QuarantinePage() {
  const say = useSay()
  const mayChange = useHasRole('dispatcher')
  const queries = useQueryClient()
  const [filters, setFilters] = useFilters(FILTERS)
  const [chosen, setChosen] = useState<string | null>(null)
  const query = given({
    reason: filters.reason as Reason,
    tracker_id: filters.tracker,
    from: timeOf(filters.from),
    to: timeOf(filters.to),
  })
  const messages = usePages([...QUARANTINE, query], (place) =>
    data(api.GET('/v1/quarantine', { params: { query: { ...query, ...place } } })),
  )
  const trackers = useQuery({
    queryKey: ['trackers'],
    queryFn: () => data(api.GET('/v1/trackers', { params: { query: { limit: MOST_TRACKERS } } })),
  })
  const names = new Map(trackers.data?.data.map(({ id, name }) => [id, name ?? id]))
  const refresh = () => queries.invalidateQueries({ queryKey: QUARANTINE })
  const release = useMutation({
    // One after the other: an organization has few requests at a time.
    mutationFn: async (ids: readonly string[]) => {
      for (const id of ids) await data(api.POST('/v1/quarantine/{id}/release', { params: { path: { id } } }))
    },
    onSettled: refresh,
  })
  const drop = useMutation({
    mutationFn: (id: string) => data(api.DELETE('/v1/quarantine/{id}', { params: { path: { id } } })),
    onSettled: refresh,
  })
  const releasable = (messages.data ?? []).filter(isReleasable).map(({ id }) => id)
  const isFiltered = FILTERS.some((name) => filters[name] !== '')
  const problem = messages.error ?? trackers.error ?? release.error ?? drop.error
  const ids = [...names.keys()]
  return (
    <div className="page">
      <h1>{say('quarantine')}</h1>
      <p>{say('quarantine-hint')}</p>
      <div className="filters" role="group" aria-label={say('filters')}>
        <Choice
          label={say('reason')}
          value={filters.reason as Reason | ''}
          values={['', ...REASONS]}
          texts={[say('all'), ...REASONS.map((reason) => say(reasonName(reason)))]}
          onChoose={(reason) => setFilters({ reason })}
        />
        <Choice
          label={say('tracker')}
          value={filters.tracker}
          values={['', ...ids]}
          texts={[say('all'), ...ids.map((id) => names.get(id) ?? id)]}
          onChoose={(tracker) => setFilters({ tracker })}
        />
        <SpanFilter from={filters.from} to={filters.to} onChange={setFilters} />
      </div>
      {filters.reason !== '' && <Note kind="plain">{say(`${reasonName(filters.reason)}-hint`)}</Note>}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {mayChange && releasable.length > 0 && (
        <div className="row">
          <Button
            isPending={release.isPending}
            onPress={() => confirm(say('sure-release', { count: releasable.length })) && release.mutate(releasable)}
          >
            {say('release-all', { count: releasable.length })}
          </Button>
        </div>
      )}
      {!messages.error && (
        <Messages
          rows={messages.data}
          names={names}
          empty={say(isFiltered ? 'no-message-fits' : 'no-messages')}
          chosen={chosen}
          onChoose={setChosen}
          onRelease={mayChange ? (id) => release.mutate([id]) : null}
          onDrop={mayChange ? (id) => confirm(say('sure-drop')) && drop.mutate(id) : null}
        />
      )}
      {messages.hasNextPage && (
        <Button onPress={() => void messages.fetchNextPage()} isPending={messages.isFetchingNextPage}>{say('older')}</Button>
      )}
    </div>
  )
}

function isReleasable(message: Message): boolean {
  return message.payload_kept && message.released_at === null
}

function reasonName(reason: string): string {
  return `reason-${reason.replaceAll('_', '-')}`
}

function Messages(props: {
  rows: readonly Message[] | undefined
  names: ReadonlyMap<string, string>
  empty: string
  chosen: string | null
  onChoose: (id: string | null) => void
  onRelease: ((id: string) => void) | null
  onDrop: ((id: string) => void) | null
}) {
  const say = useSay()
  const language = useLanguage()
  const { chosen, onChoose, onRelease, onDrop } = props
  const columns: Column<Message>[] = [
    {
      title: 'reason',
      cell: (each) => (
        <>
          {say(reasonName(each.reason))} <span className="small detail">{each.detail}</span>
        </>
      ),
    },
    { title: 'tracker', cell: (each) => (each.tracker_id === null ? '' : (props.names.get(each.tracker_id) ?? each.tracker_id)) },
    { title: 'last-received', cell: (each) => timeText(language, each.last_received_at, 'second') },
    { title: 'seen', cell: (each) => each.seen },
    { title: 'state', cell: (each) => say(stateOf(each)) },
    {
      title: '',
      cell: (each) => (
        <div className="row">
          {each.payload_kept && (
            <Button aria-expanded={each.id === chosen} onPress={() => onChoose(each.id === chosen ? null : each.id)}>
              {say('message')}
            </Button>
          )}
          {onRelease && isReleasable(each) && <Button onPress={() => onRelease(each.id)}>{say('release')}</Button>}
          {onDrop && each.released_at === null && (
            <Button look="danger" onPress={() => onDrop(each.id)}>{say('remove')}</Button>
          )}
        </div>
      ),
    },
  ]
  return (
    <Table
      label={say('quarantine')}
      columns={columns}
      rows={props.rows}
      empty={props.empty}
      below={(each) => each.id === chosen && <Payload message={each} />}
    />
  )
}

function stateOf(message: Message): string {
  if (message.released_at !== null) return 'message-released'
  if (message.counts_only) return 'message-counted'
  if (!message.payload_kept) return 'message-not-kept'
  return message.releases > 0 ? 'message-came-back' : 'message-kept'
}

/** A message whole, as text that does nothing. */
function Payload(props: { message: Message }) {
  const say = useSay()
  const { id, topic, positions, payload_bytes: bytes, reason } = props.message
  const whole = useQuery({
    queryKey: ['quarantined', id],
    queryFn: () => data(api.GET('/v1/quarantine/{id}', { params: { path: { id } } })),
  })
  return (
    <section className="stack" aria-label={say('message')}>
      <p>{say(`${reasonName(reason)}-hint`)}</p>
      <dl className="facts">
        <dt>{say('topic')}</dt>
        <dd><code>{topic}</code></dd>
        {positions.length > 0 && (
          <>
            <dt>{say('places-in-message')}</dt>
            <dd>{positions.join(', ')}</dd>
          </>
        )}
        <dt>{say('size')}</dt>
        <dd>{say('bytes', { count: bytes })}</dd>
      </dl>
      {whole.error && <ProblemNote problem={problemOf(whole.error)} />}
      {whole.data?.payload != null && <pre tabIndex={0} className="payload">{payloadText(whole.data.payload)}</pre>}
    </section>
  )
}
