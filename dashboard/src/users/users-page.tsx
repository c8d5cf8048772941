import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { ROLES, useSession, type Role } from '../session/session'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Button, Check, Note, ProblemNote, TextInput } from '../ui/forms'
import { Table, type Column } from '../ui/table'

const USERS = ['users']
const MOST = 1_000 // of a page
type User = Schemas['UserItem']

/** The people of the organization: invitations, roles, and who may not sign in any more. */
export function UsersPage() {
  const say = useSay()
  const { userId } = useSession()
  const queries = useQueryClient()
  const users = useQuery({
    queryKey: USERS,
    queryFn: () => data(api.GET('/v1/users', { params: { query: { limit: MOST } } })),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: USERS })
  const invite = useMutation({
    mutationFn: (body: Schemas['NewUser']) => data(api.POST('/v1/users', { body })),
    onSuccess: refresh,
  })
  const change = useMutation({
    mutationFn: ({ id, body }: { id: string; body: Schemas['UserChange'] }) =>
      data(api.PATCH('/v1/users/{id}', { params: { path: { id } }, body })),
    onSuccess: refresh,
  })
  const again = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/users/{id}/invitation', { params: { path: { id } } })),
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const given = new FormData(form)
    const body = { email: String(given.get('email')), role: String(given.get('role')) as Role, service: given.has('service') }
    invite.mutate(body, { onSuccess: () => form.reset() })
  }

  const roleTexts = ROLES.map((role) => say(`role-${role}`))
  const columns: Column<User>[] = [
    { title: 'email', cell: (user) => user.email },
    { title: 'name', cell: (user) => user.name ?? '' },
    {
      title: 'role',
      cell: (user) =>
        user.id === userId ? (
          say(`role-${user.role}`)
        ) : (
          <Choice
            label={say('role-of', { name: user.email })}
            isLabelSeen={false}
            value={user.role}
            values={ROLES}
            texts={roleTexts}
            onChoose={(role) =>
              confirm(say('sure-role', { name: user.email, role: say(`role-${role}`) })) &&
              change.mutate({ id: user.id, body: { role } })
            }
          />
        ),
    },
    { title: 'state', cell: (user) => say(stateOf(user)) },
    {
      title: '',
      cell: (user) => (
        <div className="row">
          {user.invited && <Button onPress={() => again.mutate(user.id)}>{say('invite-again')}</Button>}
          {user.id !== userId && (
            <Button
              look={user.active ? 'danger' : 'plain'}
              onPress={() =>
                (!user.active || confirm(say('sure-deactivate', { name: user.email }))) &&
                change.mutate({ id: user.id, body: { active: !user.active } })
              }
            >
              {say(user.active ? 'deactivate' : 'activate')}
            </Button>
          )}
        </div>
      ),
    },
  ]
  const problem = users.error ?? invite.error ?? change.error ?? again.error
  return (
    <div className="page">
      <h1>{say('users')}</h1>
      <p>{say('users-hint')}</p>
      <form onSubmit={submit} className="row">
        <TextInput name="email" type="email" label={say('email')} isRequired maxLength={254} />
        <Choice name="role" label={say('role')} value="viewer" values={ROLES} texts={roleTexts} />
        <Button type="submit" look="main" isPending={invite.isPending}>{say('invite')}</Button>
        <Check name="service" label={say('service-user')} hint={say('service-user-hint')} isChecked={false} />
      </form>
      {((invite.isSuccess && !invite.data.service) || again.isSuccess) && <Note kind="good">{say('invitation-is-sent')}</Note>}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!users.error && <Table label={say('users')} columns={columns} rows={users.data?.data} empty={say('none-found')} />}
    </div>
  )
}

function stateOf(user: User): string {
  if (!user.active) return 'user-deactivated'
  if (user.service) return 'user-service'
  return user.invited ? 'user-invited' : 'user-active'
}
