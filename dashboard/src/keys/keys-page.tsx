import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, ProblemNote } from '../ui/forms'
import { Rotation } from '../ui/rotation'
import { SecretNote, Table, type Column } from '../ui/table'
import { NewKeyForm } from './new-key-form'

const KEYS = ['api-keys']
const MOST = 1_000 // of a page
const MOST_OVERLAP_S = 30 * 86_400
type ApiKey = Schemas['ApiKeyItem']

/** API keys: whose they are, what they may and until when; made, rotated and revoked. */
export function KeysPage() {
  const say = useSay()
  const language = useLanguage()
  const queries = useQueryClient()
  const [made, setMade] = useState<Schemas['NewApiKeyItem'] | null>(null)
  const [rotated, setRotated] = useState<string | null>(null)
  const keys = useQuery({
    queryKey: KEYS,
    queryFn: () => data(api.GET('/v1/api-keys', { params: { query: { limit: MOST } } })),
  })
  const users = useQuery({
    queryKey: ['users'],
    queryFn: () => data(api.GET('/v1/users', { params: { query: { limit: MOST } } })),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: KEYS })
  const rotate = useMutation({
    mutationFn: ({ id, overlap_s }: { id: string; overlap_s: number }) =>
      data(api.POST('/v1/api-keys/{id}/rotate', { params: { path: { id } }, body: { expires_previous_in_s: overlap_s } })),
    onSuccess: (key) => {
      setMade(key)
      setRotated(null)
      return refresh()
    },
  })
  const revoke = useMutation({
    mutationFn: (key: ApiKey) => data(api.POST('/v1/api-keys/{id}/revoke', { params: { path: { id: key.id } } })),
    onSuccess: refresh,
  })
  const owners = new Map(users.data?.data.map(({ id, name, email }) => [id, name ?? email]))

  const columns: Column<ApiKey>[] = [
    {
      title: 'name',
      cell: (key) => (
        <>
          {key.name} <code className="small detail">…{key.last4}</code>
        </>
      ),
    },
    {
      title: 'owner',
      cell: (key) => (
        <>
          {owners.get(key.user_id) ?? key.user_id}
          {key.made_by !== null && key.made_by !== key.user_id && (
            <span className="small detail">{say('made-by', { name: owners.get(key.made_by) ?? key.made_by })}</span>
          )}
        </>
      ),
    },
    { title: 'rights', cell: (key) => <Rights scopes={key.scopes} /> },
    { title: 'last-used', cell: (key) => (key.last_used_at === null ? say('never') : timeText(language, key.last_used_at)) },
    { title: 'expires', cell: (key) => <Expiry apiKey={key} /> },
    {
      title: '',
      cell: (key) => (
        <div className="row">
          <Button aria-expanded={key.id === rotated} onPress={() => setRotated(key.id === rotated ? null : key.id)}>
            {say('rotate')}
          </Button>
          <Button look="danger" onPress={() => confirm(say('sure-revoke', { name: key.name })) && revoke.mutate(key)}>
            {say('revoke')}
          </Button>
        </div>
      ),
    },
  ]
  const problem = keys.error ?? users.error ?? rotate.error ?? revoke.error
  return (
    <div className="page">
      <h1>{say('api-keys')}</h1>
      <p>{say('api-keys-hint')}</p>
      <NewKeyForm users={users.data?.data ?? []} onMade={setMade} />
      {made && <SecretNote text={say('key-shown-once')} secret={made.secret} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!keys.error && (
        <Table
          label={say('api-keys')}
          columns={columns}
          rows={keys.data?.data}
          empty={say('no-keys')}
          below={(key) =>
            key.id === rotated && (
              <Rotation
                hint={say('rotate-key-hint')}
                most_s={MOST_OVERLAP_S}
                isPending={rotate.isPending}
                onRotate={(overlap_s) => rotate.mutate({ id: key.id, overlap_s })}
              />
            )
          }
        />
      )}
    </div>
  )
}

function Rights(props: { scopes: ApiKey['scopes'] }) {
  const say = useSay()
  if (props.scopes === null) return say('rights-all')
  return <code className="small">{props.scopes.join(', ')}</code>
}

/** When a key ends, and until when the secret before is good, too. */
function Expiry(props: { apiKey: ApiKey }) {
  const say = useSay()
  const language = useLanguage()
  const { expires_at: at, previous_expires_at: previous } = props.apiKey
  const isOver = at !== null && Date.parse(at) <= Date.now()
  return (
    <>
      {at === null ? say('never') : timeText(language, at)}
      {isOver && <span className="tag">{say('expired')}</span>}
      {previous !== null && Date.parse(previous) > Date.now() && (
        <span className="small detail">{say('old-secret-until', { time: timeText(language, previous) })}</span>
      )}
    </>
  )
}
