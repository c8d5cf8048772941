import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { Attempts } from './attempts'
import { useEventTypes } from './use-event-types'

const PAGE = 100
const LOOK_AGAIN_MS = 5_000
type Delivery = Schemas['DeliveryItem']
type EventType = Schemas['EndpointTest']['type']

/** The newest deliveries of an endpoint; of one that is chosen, what was answered each time. */
export function Deliveries(props: { id: string; isActive: boolean }) {
  const say = useSay()
  const language = useLanguage()
  const { id, isActive } = props
  const queries = useQueryClient()
  const [chosen, setChosen] = useState<string | null>(null)
  const [testType, setTestType] = useState<EventType>('asset.geofence_breach')
  const types = useEventTypes().data?.data.map(({ type }) => type as EventType) ?? [testType]
  const deliveries = useQuery({
    queryKey: ['deliveries', id],
    queryFn: () =>
      data(api.GET('/v1/webhook-deliveries', { params: { query: { endpoint_id: id, limit: PAGE, total: 'none' } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const refresh = () =>
    Promise.all([['deliveries', id], ['delivery']].map((queryKey) => queries.invalidateQueries({ queryKey })))
  const test = useMutation({
    mutationFn: (type: EventType) =>
      data(api.POST('/v1/webhook-endpoints/{id}/test', { params: { path: { id } }, body: { type } })),
    onSuccess: refresh,
  })
  const resend = useMutation({
    mutationFn: (delivery: string) =>
      data(api.POST('/v1/webhook-deliveries/{id}/resend', { params: { path: { id: delivery } } })),
    onSuccess: refresh,
  })

  const columns: Column<Delivery>[] = [
    { title: 'event-type', cell: (each) => <><code>{each.type}</code>{each.test && <span className="tag">{say('test-event')}</span>}</> },
    { title: 'created', cell: (each) => timeText(language, each.created_at, 'second') },
    { title: 'state', cell: (each) => say(`delivery-${each.state}`) },
    { title: 'attempts', cell: (each) => each.attempt_count },
    { title: 'answer', cell: (each) => each.last_status ?? each.last_error ?? '' },
    {
      title: '',
      cell: (each) => (
        <div className="row">
          <Button aria-expanded={each.id === chosen} onPress={() => setChosen(each.id === chosen ? null : each.id)}>
            {say('attempts')}
          </Button>
          <Button onPress={() => resend.mutate(each.id)}>{say('send-again')}</Button>
        </div>
      ),
    },
  ]
  const problem = deliveries.error ?? test.error ?? resend.error
  return (
    <section className="card" aria-label={say('deliveries')}>
      <h2>{say('deliveries')}</h2>
      {isActive && (
        <div className="row">
          <Choice label={say('event-type')} value={testType} values={types} texts={types} onChoose={setTestType} />
          <Button onPress={() => test.mutate(testType)} isPending={test.isPending}>{say('send-test')}</Button>
        </div>
      )}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!deliveries.error && (
        <Table
          label={say('deliveries')}
          columns={columns}
          rows={deliveries.data?.data}
          empty={say('no-deliveries')}
          below={(each) => each.id === chosen && <Attempts delivery={each.id} />}
        />
      )}
    </section>
  )
}
