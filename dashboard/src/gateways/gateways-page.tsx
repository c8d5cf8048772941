import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { GatewayForm } from './gateway-form'
import { PROGRAMS } from './kinds'
import { GatewaySetUp } from './set-up'

const GATEWAYS = ['gateways']
const MOST = 1_000 // of a page
const LOOK_AGAIN_MS = 10_000
type Gateway = Schemas['GatewayItem']

/** Gateways: servers that forward the positions of many devices. */
export function GatewaysPage() {
  const say = useSay()
  const language = useLanguage()
  const mayChange = useHasRole('dispatcher')
  const queries = useQueryClient()
  const [made, setMade] = useState<Schemas['NewGatewayItem'] | null>(null)
  const [changed, setChanged] = useState<Gateway | null>(null)
  const gateways = useQuery({
    queryKey: GATEWAYS,
    queryFn: () => data(api.GET('/v1/gateways', { params: { query: { limit: MOST, include: 'last_seen_at' } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const refresh = () => queries.invalidateQueries({ queryKey: GATEWAYS })
  const make = useMutation({
    mutationFn: (body: Schemas['NewGateway']) => data(api.POST('/v1/gateways', { body })),
    onSuccess: (gateway) => {
      setMade(gateway)
      return refresh()
    },
  })
  const change = useMutation({
    mutationFn: ({ id, body }: { id: string; body: Schemas['GatewayChange'] }) =>
      data(api.PATCH('/v1/gateways/{id}', { params: { path: { id } }, body })),
    onSuccess: () => {
      setChanged(null)
      return refresh()
    },
  })
  const rotate = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/gateways/{id}/rotate', { params: { path: { id } } })),
    onSuccess: setMade,
  })
  const revoke = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/gateways/{id}/revoke', { params: { path: { id } } })),
    onSuccess: ({ id }) => {
      setMade((shown) => (shown?.id === id ? null : shown))
      return refresh()
    },
  })

  const columns: Column<Gateway>[] = [
    { title: 'name', cell: ({ name }) => name },
    { title: 'kind', cell: ({ kind }) => PROGRAMS[kind].title },
    { title: 'auto-register', cell: ({ auto_register }) => (auto_register === null ? '' : <code>{auto_register}</code>) },
    { title: 'state', cell: ({ revoked_at }) => say(revoked_at === null ? 'gateway-active' : 'revoked') },
    {
      title: 'gateway-last-seen',
      cell: ({ last_seen_at: seen }) => (seen ? timeText(language, seen, 'second') : say('never-seen')),
    },
    { title: 'created', cell: ({ created_at }) => timeText(language, created_at) },
    ...(mayChange ? [{ title: '', cell: buttons }] : []),
  ]

  function buttons(gateway: Gateway) {
    const { id, name, revoked_at } = gateway
    if (revoked_at !== null) return null
    return (
      <div className="row">
        <Button onPress={() => setChanged(gateway)}>{say('change')}</Button>
        <Button onPress={() => confirm(say('sure-new-key', { name })) && rotate.mutate(id)}>{say('new-key')}</Button>
        <Button look="danger" onPress={() => confirm(say('sure-revoke', { name })) && revoke.mutate(id)}>
          {say('revoke')}
        </Button>
      </div>
    )
  }

  const problem = gateways.error ?? make.error ?? change.error ?? rotate.error ?? revoke.error
  return (
    <div className="page">
      <h1>{say('gateways')}</h1>
      {mayChange && !changed && (
        <GatewayForm isPending={make.isPending} save={(body, onSuccess) => make.mutate(body as Schemas['NewGateway'], { onSuccess })} />
      )}
      {changed && (
        <section aria-label={say('change-gateway', { name: changed.name })}>
          <h2>{say('change-gateway', { name: changed.name })}</h2>
          <GatewayForm
            key={changed.id}
            gateway={changed}
            isPending={change.isPending}
            save={({ kind: _, ...body }) => change.mutate({ id: changed.id, body })}
            cancel={() => setChanged(null)}
          />
        </section>
      )}
      {made && <GatewaySetUp key={made.secret} gateway={made} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!gateways.error && (
        <Table label={say('gateways')} columns={columns} rows={gateways.data?.data} empty={say('no-gateways')} />
      )}
    </div>
  )
}
