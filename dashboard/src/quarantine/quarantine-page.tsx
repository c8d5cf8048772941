import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data } from '../api/client'
import { usePages } from '../api/pages'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { given, SpanFilter, timeOf, useFilters } from '../ui/filters'
import { Button, Note, ProblemNote } from '../ui/forms'
import { isReleasable, Messages, type Message } from './messages'
import { reasonName, REASONS } from './reasons'
import { ReleaseMany, type MessageQuery } from './release-many'

const QUARANTINE = ['quarantine']
const MOST_TRACKERS = 1_000 // of a page
const FILTERS = ['reason', 'tracker', 'from', 'to'] as const
type Reason = Message['reason']

/** Messages that arrived and were not stored, with the reason: released, or removed. */
export function QuarantinePage() {
  const say = useSay()
  const mayChange = useHasRole('dispatcher')
  const queries = useQueryClient()
  const [filters, setFilters] = useFilters(FILTERS)
  const [chosen, setChosen] = useState<string | null>(null)
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set())
  const query: MessageQuery = given({
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
    mutationFn: (id: string) => data(api.POST('/v1/quarantine/{id}/release', { params: { path: { id } } })),
    onSettled: refresh,
  })
  const drop = useMutation({
    mutationFn: (id: string) => data(api.DELETE('/v1/quarantine/{id}', { params: { path: { id } } })),
    onSettled: refresh,
  })
  const wanted = (messages.data ?? []).filter((message) => isReleasable(message) && picked.has(message.id))
  function pick(id: string) {
    const next = new Set(picked)
    if (!next.delete(id)) next.add(id)
    setPicked(next)
  }
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
      {mayChange && messages.data !== undefined && messages.data.length > 0 && (
        <ReleaseMany chosen={wanted.map(({ id }) => id)} query={query} onEnd={() => void refresh()} />
      )}
      {!messages.error && (
        <Messages
          rows={messages.data}
          names={names}
          empty={say(isFiltered ? 'no-message-fits' : 'no-messages')}
          chosen={chosen}
          onChoose={setChosen}
          picked={picked}
          onPick={mayChange ? pick : null}
          onRelease={mayChange ? (id) => release.mutate(id) : null}
          onDrop={mayChange ? (id) => confirm(say('sure-drop')) && drop.mutate(id) : null}
        />
      )}
      {messages.hasNextPage && (
        <Button onPress={() => void messages.fetchNextPage()} isPending={messages.isFetchingNextPage}>{say('older')}</Button>
      )}
    </div>
  )
}
