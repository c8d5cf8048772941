import { useState, type FormEvent } from 'react'
import { Link, useSearchParams } from 'react-router'
import { problemOf, type Problem } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { keptOrganization, keepOrganization } from './kept'
import { useSignIn } from './session'
import { Sheet } from './sheet'

/** Sign-in. The organization is asked for once: this browser keeps it, or the address names it. */
export function SignInPage() {
  const say = useSay()
  const { signIn } = useSignIn()
  const [address] = useSearchParams()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isBusy, setIsBusy] = useState(false)

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const given = new FormData(event.currentTarget)
    const organization = String(given.get('organization')).trim()
    setIsBusy(true)
    setProblem(null)
    try {
      await signIn({
        email: String(given.get('email')),
        password: String(given.get('password')),
        ...(organization === '' ? {} : { organization_id: organization }),
      })
      keepOrganization(organization)
    } catch (thrown) {
      setProblem(problemOf(thrown))
      setIsBusy(false)
    }
  }

  return (
    <Sheet title={say('sign-in')}>
      <form onSubmit={submit} className="stack">
        <TextInput name="email" type="email" label={say('email')} autoComplete="username" isRequired autoFocus />
        <TextInput name="password" type="password" label={say('password')} autoComplete="current-password" isRequired />
        <TextInput
          name="organization"
          label={say('organization-id')}
          hint={say('organization-id-hint')}
          defaultValue={address.get('organization') ?? keptOrganization()}
        />
        {problem && <ProblemNote problem={problem} texts={{ unauthorized: 'sign-in-wrong' }} />}
        <Button type="submit" isPending={isBusy} look="main">
          {say('sign-in')}
        </Button>
        <Link to="/forgot-password">{say('forgot-password')}</Link>
      </form>
    </Sheet>
  )
}
