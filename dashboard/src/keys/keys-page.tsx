import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { SecretNote, Table, type Column } from '../ui/table'

const KEYS = ['api-keys']
const MOST = 1_000 // of a page
type ApiKey = Schemas['ApiKeyItem']

/** API keys: who has them, when they were used last, and making and revoking them. */
export function KeysPage() {
  const say = useSay()
  const language = useLanguage()
  const queries = useQueryClient()
  const [made, setMade] = useState<Schemas['NewApiKeyItem'] | null>(null)
  const keys = useQuery({
    queryKey: KEYS,
    queryFn: () => data(api.GET('/v1/api-keys', { params: { query: { limit: MOST } } })),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: KEYS })
  const make = useMutation({
    mutationFn: (name: string) => data(api.POST('/v1/api-keys', { body: { name } })),
    onSuccess: (key) => {
      setMade(key)
      return refresh()
    },
  })
  const revoke = useMutation({
    mutationFn: (key: ApiKey) => data(api.POST('/v1/api-keys/{id}/revoke', { params: { path: { id: key.id } } })),
    onSuccess: refresh,
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    make.mutate(String(new FormData(form).get('name')), { onSuccess: () => form.reset() })
  }

  function revokeButton(key: ApiKey) {
    return (
      <Button look="danger" onPress={() => confirm(say('sure-revoke', { name: key.name })) && revoke.mutate(key)}>
        {say('revoke')}
      </Button>
    )
  }

  const columns: Column<ApiKey>[] = [
    { title: 'name', cell: (key) => key.name },
    { title: 'key-end', cell: (key) => <code>…{key.last4}</code> },
    { title: 'created', cell: (key) => timeText(language, key.created_at) },
    { title: 'last-used', cell: (key) => (key.last_used_at === null ? say('never') : timeText(language, key.last_used_at)) },
    { title: '', cell: revokeButton },
  ]
  const problem = keys.error ?? make.error ?? revoke.error
  return (
    <div className="page">
      <h1>{say('api-keys')}</h1>
      <p>{say('api-keys-hint')}</p>
      <form onSubmit={submit} className="row">
        <TextInput name="name" label={say('name')} isRequired maxLength={200} />
        <Button type="submit" look="main" isPending={make.isPending}>{say('make-key')}</Button>
      </form>
      {made && <SecretNote text={say('key-shown-once')} secret={made.secret} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!keys.error && <Table label={say('api-keys')} columns={columns} rows={keys.data?.data} empty={say('no-keys')} />}
    </div>
  )
}
