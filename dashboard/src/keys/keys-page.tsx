import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'

const KEYS = ['api-keys']
type ApiKey = Schemas['ApiKeyItem']

/** API keys: who has them, when they were used last, and making and revoking them. */
export function KeysPage() {
  const say = useSay()
  const language = useLanguage()
  const queries = useQueryClient()
  const [made, setMade] = useState<Schemas['NewApiKeyItem'] | null>(null)
  const keys = useQuery({ queryKey: KEYS, queryFn: () => data(api.GET('/v1/api-keys', { params: { query: { limit: 1000 } } })) })
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

  const problem = keys.error ?? make.error ?? revoke.error
  return (
    <div className="page">
      <h1>{say('api-keys')}</h1>
      <p>{say('api-keys-hint')}</p>
      <form onSubmit={submit} className="row">
        <TextInput name="name" label={say('name')} isRequired maxLength={200} />
        <Button type="submit" look="main" isPending={make.isPending}>{say('make-key')}</Button>
      </form>
      {made && (
        <Note kind="good">
          <p>{say('key-shown-once')}</p>
          <code className="secret">{made.secret}</code>
          <Button onPress={() => void navigator.clipboard.writeText(made.secret)}>{say('copy')}</Button>
        </Note>
      )}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {keys.data?.data.length === 0 && <Note kind="plain">{say('no-keys')}</Note>}
      {keys.data !== undefined && keys.data.data.length > 0 && (
        <div className="table-frame">
          <table>
            <thead>
              <tr>
                <th scope="col">{say('name')}</th>
                <th scope="col">{say('key-end')}</th>
                <th scope="col">{say('created')}</th>
                <th scope="col">{say('last-used')}</th>
                <th scope="col"><span className="unseen">{say('actions')}</span></th>
              </tr>
            </thead>
            <tbody>
              {keys.data.data.map((key) => (
                <tr key={key.id}>
                  <th scope="row" dir="auto">{key.name}</th>
                  <td><code>…{key.last4}</code></td>
                  <td>{timeText(language, key.created_at)}</td>
                  <td>{key.last_used_at === null ? say('never') : timeText(language, key.last_used_at)}</td>
                  <td>
                    <Button look="danger" onPress={() => revoke.mutate(key)}>{say('revoke')}</Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  )
}
