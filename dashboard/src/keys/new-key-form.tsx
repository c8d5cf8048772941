import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState, type FormEvent } from 'react'
import { Form } from 'react-aria-components'
import { api, data, type Schemas } from '../api/client'
import { faultsOf, problemOf } from '../api/problem'
import { useSession } from '../session/session'
import { useSay } from '../texts/texts'
import { instantOfInput } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { byResource } from './scopes'

const RIGHTS = ['all', 'read', 'chosen'] as const
const FIELDS = ['name', 'expires_at']
type Rights = (typeof RIGHTS)[number]

/** A new key: what it is called, as whom it acts, what it may and until when. */
export function NewKeyForm(props: { users: readonly Schemas['UserItem'][]; onMade: (key: Schemas['NewApiKeyItem']) => unknown }) {
  const say = useSay()
  const { userId } = useSession()
  const queries = useQueryClient()
  const [rights, setRights] = useState<Rights>('all')
  const make = useMutation({
    mutationFn: (body: Schemas['NewApiKey']) => data(api.POST('/v1/api-keys', { body })),
    onSuccess: (key) => {
      props.onMade(key)
      return queries.invalidateQueries({ queryKey: ['api-keys'] })
    },
  })
  const problem = useMemo(() => (make.error === null ? null : problemOf(make.error)), [make.error])
  const faults = useMemo(() => faultsOf(problem), [problem])
  const owners = props.users.filter(({ active, id }) => active && id !== userId)

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const given = new FormData(form)
    const day = String(given.get('expires_at'))
    const scopes = { all: null, read: ['*:read'], chosen: given.getAll('scope').map(String) }[rights]
    const body: Schemas['NewApiKey'] = {
      name: String(given.get('name')),
      user_id: String(given.get('user_id')),
      scopes,
      expires_at: day === '' ? null : new Date(instantOfInput(`${day}T23:59:59`) ?? 0).toISOString(),
    }
    make.mutate(body, {
      onSuccess: () => {
        form.reset()
        setRights('all')
      },
    })
  }

  return (
    <Form onSubmit={submit} validationErrors={faults} className="card">
      <div className="fields">
        <TextInput name="name" label={say('name')} hint={say('key-name-hint')} isRequired maxLength={200} />
        <Choice
          name="user_id"
          label={say('owner')}
          hint={say('owner-hint')}
          value={userId}
          values={[userId, ...owners.map(({ id }) => id)]}
          texts={[say('yourself'), ...owners.map(({ name, email }) => name ?? email)]}
        />
        <Choice
          label={say('rights')}
          hint={say('rights-hint')}
          value={rights}
          values={RIGHTS}
          texts={RIGHTS.map((each) => say(`rights-${each}`))}
          onChoose={setRights}
        />
        <TextInput name="expires_at" type="date" label={say('expires')} hint={say('expires-hint')} />
      </div>
      {rights === 'chosen' && <ScopeChoice />}
      {problem && <ProblemNote problem={problem} fields={FIELDS} />}
      <div className="row">
        <Button type="submit" look="main" isPending={make.isPending}>{say('make-key')}</Button>
      </div>
    </Form>
  )
}

/** The scopes that exist, to be chosen. */
function ScopeChoice() {
  const say = useSay()
  const scopes = useQuery({
    queryKey: ['scopes'],
    queryFn: () => data(api.GET('/v1/api-keys/scopes')),
    staleTime: Infinity,
  })
  if (scopes.error) return <ProblemNote problem={problemOf(scopes.error)} />
  return (
    <div className="scopes" role="group" aria-label={say('rights-chosen')}>
      {byResource(scopes.data?.scopes ?? []).map(({ name, actions }) => (
        <div key={name} role="group" aria-label={name}>
          <code>{name}</code>
          {actions.map((action) => (
            <label key={action}>
              <input type="checkbox" name="scope" value={`${name}:${action}`} /> {say(`scope-${action}`)}
            </label>
          ))}
        </div>
      ))}
    </div>
  )
}
