import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { KINDS, PROGRAMS, type Kind } from './kinds'
import { GatewaySetUp } from './set-up'

const GATEWAYS = ['gateways']
const MOST = 1_000 // of a page
type Gateway = Schemas['GatewayItem']

/** Gateways: servers that forward the positions of many devices. */
export function GatewaysPage() {
  const say = useSay()
  const language = useLanguage()
  const mayChange = useHasRole('dispatcher')
  const queries = useQueryClient()
  const [made, setMade] = useState<Schemas['NewGatewayItem'] | null>(null)
  const gateways = useQuery({
    queryKey: GATEWAYS,
    queryFn: () => data(api.GET('/v1/gateways', { params: { query: { limit: MOST } } })),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: GATEWAYS })
  const make = useMutation({
    mutationFn: (body: Schemas['NewGateway']) => data(api.POST('/v1/gateways', { body })),
    onSuccess: (gateway) => {
      setMade(gateway)
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

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const given = new FormData(form)
    const body = { name: String(given.get('name')), kind: given.get('kind') as Kind }
    make.mutate(body, { onSuccess: () => form.reset() })
  }

  const columns: Column<Gateway>[] = [
    { title: 'name', cell: ({ name }) => name },
    { title: 'kind', cell: ({ kind }) => PROGRAMS[kind].title },
    { title: 'state', cell: ({ revoked_at }) => say(revoked_at === null ? 'gateway-active' : 'revoked') },
    { title: 'created', cell: ({ created_at }) => timeText(language, created_at) },
    ...(mayChange ? [{ title: '', cell: buttons }] : []),
  ]

  function buttons({ id, name, revoked_at }: Gateway) {
    if (revoked_at !== null) return null
    return (
      <div className="row">
        <Button onPress={() => confirm(say('sure-new-key', { name })) && rotate.mutate(id)}>{say('new-key')}</Button>
        <Button look="danger" onPress={() => confirm(say('sure-revoke', { name })) && revoke.mutate(id)}>
          {say('revoke')}
        </Button>
      </div>
    )
  }

  const problem = gateways.error ?? make.error ?? rotate.error ?? revoke.error
  return (
    <div className="page">
      <h1>{say('gateways')}</h1>
      {mayChange && (
        <form onSubmit={submit} className="row">
          <TextInput name="name" label={say('name')} isRequired maxLength={200} />
          <Choice name="kind" label={say('kind')} values={KINDS} texts={KINDS.map((kind) => PROGRAMS[kind].title)} />
          <Button type="submit" look="main" isPending={make.isPending}>{say('add-gateway')}</Button>
        </form>
      )}
      {made && <GatewaySetUp key={made.secret} gateway={made} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!gateways.error && (
        <Table label={say('gateways')} columns={columns} rows={gateways.data?.data} empty={say('no-gateways')} />
      )}
    </div>
  )
}
