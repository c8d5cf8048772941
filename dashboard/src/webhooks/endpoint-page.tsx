import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, Note, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { EndpointForm } from './endpoint-form'
import { ENDPOINTS, EndpointState } from './endpoints-page'
import { Recovery } from './recovery'
import { Secret } from './secret'
import { Snippets } from './snippets'
import { Statistics } from './statistics'
import { useEventTypes } from './use-event-types'

const PAGE = 100
const LOOK_AGAIN_MS = 5_000
type Delivery = Schemas['DeliveryItem']
type Attempt = Schemas['AttemptItem']
type EventType = Schemas['EndpointTest']['type']

/** One endpoint: how it answers, its newest deliveries, and all that can be set of it. */
export function EndpointPage() {
  const say = useSay()
  const language = useLanguage()
  const { id = '' } = useParams()
  const navigate = useNavigate()
  const queries = useQueryClient()
  const [chosen, setChosen] = useState<string | null>(null)
  const [testType, setTestType] = useState<EventType>('asset.geofence_breach')
  const types = useEventTypes().data?.data.map(({ type }) => type as EventType) ?? [testType]
  const path = { path: { id } }
  const endpoint = useQuery({
    queryKey: [...ENDPOINTS, id],
    queryFn: () => data(api.GET('/v1/webhook-endpoints/{id}', { params: path })),
  })
  const deliveries = useQuery({
    queryKey: ['deliveries', id],
    queryFn: () =>
      data(api.GET('/v1/webhook-deliveries', { params: { query: { endpoint_id: id, limit: PAGE, total: 'none' } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const refresh = () =>
    Promise.all(
      [ENDPOINTS, ['deliveries', id], ['delivery']].map((queryKey) => queries.invalidateQueries({ queryKey })),
    )
  const change = useMutation({
    mutationFn: (state: 'active' | 'disabled') =>
      data(
        api.PATCH('/v1/webhook-endpoints/{id}', {
          params: path,
          body: { state } as unknown as Schemas['EndpointChange'],
        }),
      ),
    onSuccess: refresh,
  })
  const remove = useMutation({
    mutationFn: () => data(api.DELETE('/v1/webhook-endpoints/{id}', { params: path })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ENDPOINTS, exact: true })
      await navigate('/webhooks')
    },
  })
  const test = useMutation({
    mutationFn: (type: EventType) => data(api.POST('/v1/webhook-endpoints/{id}/test', { params: path, body: { type } })),
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
  const problem = endpoint.error ?? deliveries.error ?? change.error ?? remove.error ?? test.error ?? resend.error
  const isActive = endpoint.data?.state === 'active'
  return (
    <div className="page">
      <h1 className="address">{endpoint.data?.url ?? say('webhooks')}</h1>
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {endpoint.data && (
        <>
          <div className="row">
            <p><EndpointState endpoint={endpoint.data} /></p>
            <Button look={isActive ? 'danger' : 'main'} isPending={change.isPending} onPress={() => change.mutate(isActive ? 'disabled' : 'active')}>
              {say(isActive ? 'deactivate' : 'activate')}
            </Button>
            <Button look="danger" isPending={remove.isPending} onPress={() => confirm(say('sure-delete', { name: endpoint.data.url })) && remove.mutate()}>
              {say('delete')}
            </Button>
          </div>
          {!isActive && <Note kind="plain">{say('endpoint-disabled-hint')}</Note>}
          <Statistics id={id} />
        </>
      )}
      {!endpoint.error && (
        <section className="card" aria-label={say('deliveries')}>
          <h2>{say('deliveries')}</h2>
          {isActive && (
            <div className="row">
              <Choice label={say('event-type')} value={testType} values={types} texts={types} onChoose={setTestType} />
              <Button onPress={() => test.mutate(testType)} isPending={test.isPending}>{say('send-test')}</Button>
            </div>
          )}
          <Table
            label={say('deliveries')}
            columns={columns}
            rows={deliveries.data?.data}
            empty={say('no-deliveries')}
            below={(each) => each.id === chosen && <Attempts delivery={each.id} />}
          />
        </section>
      )}
      {endpoint.data && (
        <>
          <Recovery id={id} isActive={isActive} />
          <EndpointForm id={id} />
          <Secret endpoint={endpoint.data} />
          <Snippets />
        </>
      )}
    </div>
  )
}

/** What was answered to each attempt at a delivery, the newest first. */
function Attempts(props: { delivery: string }) {
  const say = useSay()
  const language = useLanguage()
  const found = useQuery({
    queryKey: ['delivery', props.delivery],
    queryFn: () => data(api.GET('/v1/webhook-deliveries/{id}', { params: { path: { id: props.delivery } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const columns: Column<Attempt & { id: string }>[] = [
    { title: 'attempted', cell: (each) => timeText(language, each.attempted_at, 'second') },
    { title: 'answer', cell: (each) => each.status ?? each.error ?? '' },
    { title: 'duration', cell: (each) => (each.duration_ms === null ? '' : `${each.duration_ms} ms`) },
    { title: 'answer-text', cell: (each) => <code className="answer">{each.response_body}</code> },
  ]
  const rows = found.data?.attempts.map((each) => ({ ...each, id: each.attempted_at }))
  return (
    <section className="stack" aria-label={say('attempts')}>
      <h2>{say('attempts')}</h2>
      {found.error && <ProblemNote problem={problemOf(found.error)} />}
      {!found.error && <Table label={say('attempts')} columns={columns} rows={rows} empty={say('no-attempts')} />}
    </section>
  )
}
