import { useState, type FormEvent } from 'react'
import { Link, useLocation } from 'react-router'
import { api, data } from '../api/client'
import { problemOf, type Problem } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'
import { keepOrganization, keptOrganization } from './kept'
import { Sheet } from './sheet'
import { useSignIn } from './session'

const TOKEN = '#token='
const LINKS = {
  invitation: { path: '/v1/auth/invitations/accept', title: 'invitation', hint: 'invitation-hint' },
  reset: { path: '/v1/auth/password-reset/confirm', title: 'new-password', hint: 'new-password-hint' },
} as const

/** The page of a mailed link: a password is set by it, and the person signed in. */
export function PasswordLinkPage(props: { link: keyof typeof LINKS }) {
  const say = useSay()
  const { path, title, hint } = LINKS[props.link]
  const { hash } = useLocation()
  const { signIn } = useSignIn()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isBusy, setIsBusy] = useState(false)
  const token = hash.startsWith(TOKEN) ? hash.slice(TOKEN.length) : null

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const password = String(new FormData(event.currentTarget).get('password'))
    setIsBusy(true)
    setProblem(null)
    try {
      const account = await data(api.POST(path, { body: { token: token ?? '', password } }))
      keepOrganization(account.organization_id)
      history.replaceState(null, '', '/app/') // the token is used
      await signIn({ email: account.email, password, organization_id: account.organization_id }).catch(() => undefined)
      location.assign('/app/') // where who is not signed in signs in
    } catch (thrown) {
      setProblem(problemOf(thrown))
      setIsBusy(false)
    }
  }

  return (
    <Sheet title={say(title)}>
      {token === null ? (
        <Note kind="bad">{say('link-without-token')}</Note>
      ) : (
        <form onSubmit={submit} className="stack">
          <p>{say(hint)}</p>
          <TextInput
            name="password"
            type="password"
            label={say('password')}
            hint={say('password-hint')}
            autoComplete="new-password"
            isRequired
            autoFocus
          />
          {problem && <ProblemNote problem={problem} />}
          <Button type="submit" isPending={isBusy} look="main">
            {say('set-password')}
          </Button>
        </form>
      )}
      <Link to="/sign-in">{say('back-to-sign-in')}</Link>
    </Sheet>
  )
}

/** Asks for a link by mail. The answer is the same whether or not there is such a user. */
export function ForgotPasswordPage() {
  const say = useSay()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [state, setState] = useState<'asking' | 'busy' | 'sent'>('asking')

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const given = new FormData(event.currentTarget)
    setState('busy')
    setProblem(null)
    try {
      const body = {
        email: String(given.get('email')),
        organization_id: String(given.get('organization')).trim(),
      }
      await data(api.POST('/v1/auth/password-reset', { body }))
      setState('sent')
    } catch (thrown) {
      setProblem(problemOf(thrown))
      setState('asking')
    }
  }

  return (
    <Sheet title={say('forgot-password')}>
      {state === 'sent' ? (
        <Note kind="good">{say('link-is-sent')}</Note>
      ) : (
        <form onSubmit={submit} className="stack">
          <p>{say('forgot-password-hint')}</p>
          <TextInput name="email" type="email" label={say('email')} autoComplete="username" isRequired autoFocus />
          <TextInput name="organization" label={say('organization-id')} defaultValue={keptOrganization()} isRequired />
          {problem && <ProblemNote problem={problem} />}
          <Button type="submit" isPending={state === 'busy'} look="main">
            {say('send-link')}
          </Button>
        </form>
      )}
      <Link to="/sign-in">{say('back-to-sign-in')}</Link>
    </Sheet>
  )
}
