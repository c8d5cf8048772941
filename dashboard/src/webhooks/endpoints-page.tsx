import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { Link } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { SecretNote, Table, type Column } from '../ui/table'
import { Catalogue } from './catalogue'

export const ENDPOINTS = ['webhook-endpoints']
const MOST = 1_000 // of a page
export type Endpoint = Schemas['EndpointItem']
type NewEndpoint = Schemas['NewEndpoint']

/** Webhook endpoints: where events go. */
export function EndpointsPage() {
  const say = useSay()
  const queries = useQueryClient()
  const [made, setMade] = useState<Schemas['NewEndpointItem'] | null>(null)
  const endpoints = useQuery({
    queryKey: ENDPOINTS,
    queryFn: () => data(api.GET('/v1/webhook-endpoints', { params: { query: { limit: MOST } } })),
  })
  const make = useMutation({
    mutationFn: (url: string) =>
      data(api.POST('/v1/webhook-endpoints', { body: { url, types: ['*'] } as unknown as NewEndpoint })),
    onSuccess: (endpoint) => {
      setMade(endpoint)
      return queries.invalidateQueries({ queryKey: ENDPOINTS })
    },
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    make.mutate(String(new FormData(form).get('url')), { onSuccess: () => form.reset() })
  }

  const columns: Column<Endpoint>[] = [
    { title: 'address', cell: (endpoint) => <Link to={endpoint.id}>{endpoint.url}</Link> },
    { title: 'event-types', cell: (endpoint) => <code>{endpoint.types.join(', ')}</code> },
    { title: 'state', cell: (endpoint) => <EndpointState endpoint={endpoint} /> },
  ]
  const problem = endpoints.error ?? make.error
  return (
    <div className="page">
      <h1>{say('webhooks')}</h1>
      <p>{say('webhooks-hint')}</p>
      <form onSubmit={submit} className="row">
        <TextInput name="url" type="url" label={say('address')} isRequired maxLength={2000} />
        <Button type="submit" look="main" isPending={make.isPending}>{say('make-endpoint')}</Button>
      </form>
      {made && <SecretNote text={say('secret-shown-once')} secret={made.secret} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!endpoints.error && (
        <Table label={say('webhooks')} columns={columns} rows={endpoints.data?.data} empty={say('no-endpoints')} />
      )}
      <Catalogue />
    </div>
  )
}

/** Whether an endpoint gets events, and if not, why. */
export function EndpointState(props: { endpoint: Endpoint }) {
  const say = useSay()
  const { state, disabled_reason, failing_since } = props.endpoint
  if (state === 'disabled') return say(`endpoint-disabled-${disabled_reason ?? 'user'}`)
  return say(failing_since === null ? 'endpoint-active' : 'endpoint-failing')
}
