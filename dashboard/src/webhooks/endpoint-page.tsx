import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useParams } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, Note, ProblemNote } from '../ui/forms'
import { Deliveries } from './deliveries'
import { EndpointForm } from './endpoint-form'
import { ENDPOINTS, EndpointState } from './endpoints-page'
import { Recovery } from './recovery'
import { Secret } from './secret'
import { Snippets } from './snippets'
import { Statistics } from './statistics'

/** One endpoint: how it answers, its newest deliveries, and all that can be set of it. */
export function EndpointPage() {
  const say = useSay()
  const { id = '' } = useParams()
  const navigate = useNavigate()
  const queries = useQueryClient()
  const path = { path: { id } }
  const endpoint = useQuery({
    queryKey: [...ENDPOINTS, id],
    queryFn: () => data(api.GET('/v1/webhook-endpoints/{id}', { params: path })),
  })
  const change = useMutation({
    mutationFn: (state: 'active' | 'disabled') =>
      data(
        api.PATCH('/v1/webhook-endpoints/{id}', {
          params: path,
          body: { state } as unknown as Schemas['EndpointChange'],
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: ENDPOINTS }),
  })
  const remove = useMutation({
    mutationFn: () => data(api.DELETE('/v1/webhook-endpoints/{id}', { params: path })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ENDPOINTS, exact: true })
      await navigate('/webhooks')
    },
  })
  const problem = endpoint.error ?? change.error ?? remove.error
  const isActive = endpoint.data?.state === 'active'
  return (
    <div className="page">
      <h1 className="address">{endpoint.data?.url ?? say('webhooks')}</h1>
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {endpoint.data && (
        <>
          <div className="row line">
            <p><EndpointState endpoint={endpoint.data} /></p>
            <Button
              look={isActive ? 'danger' : 'main'}
              isPending={change.isPending}
              onPress={() => change.mutate(isActive ? 'disabled' : 'active')}
            >
              {say(isActive ? 'deactivate' : 'activate')}
            </Button>
            <Button
              look="danger"
              isPending={remove.isPending}
              onPress={() => confirm(say('sure-delete', { name: endpoint.data.url })) && remove.mutate()}
            >
              {say('delete')}
            </Button>
          </div>
          {!isActive && <Note kind="plain">{say('endpoint-disabled-hint')}</Note>}
          <Statistics id={id} />
          <Deliveries id={id} isActive={isActive} />
          <Recovery id={id} isActive={isActive} />
          <EndpointForm id={id} />
          <Secret endpoint={endpoint.data} />
          <Snippets />
        </>
      )}
    </div>
  )
}
