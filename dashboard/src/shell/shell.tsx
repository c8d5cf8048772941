import { useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { NavLink } from 'react-router'
import { api, data } from '../api/client'
import { problemOf, type Problem } from '../api/problem'
import { ConnectionBanner } from '../live/connection-banner'
import { LiveConnection } from '../live/live'
import { useSession, useSignIn } from '../session/session'
import { SessionEnd } from '../session/session-end'
import icon from '../style/icon.svg'
import { LanguageChoice } from '../texts/language-choice'
import { useSay } from '../texts/texts'
import { Button, ProblemNote } from '../ui/forms'
import { VERSION } from '../version'
import { Palette } from './palette'
import { pagesFor } from './places'

/** What stands around every page of somebody who is signed in. */
export function Shell(props: { children: ReactNode }) {
  const say = useSay()
  const { signOut } = useSignIn()
  const { role } = useSession()
  const [problem, setProblem] = useState<Problem | null>(null)
  const { data: me } = useQuery({
    queryKey: ['me'],
    queryFn: () => data(api.GET('/v1/users/me')),
    staleTime: 300_000,
  })
  return (
    <LiveConnection>
      <div className="shell">
        <a className="skip" href="#content">
          {say('skip-to-content')}
        </a>
        <header className="bar">
          <span className="brand">
            <img src={icon} alt="" width="24" height="24" /> <span className="wide">OPS Companion</span>
          </span>
          <nav aria-label={say('navigation')}>
            {pagesFor(role).map(({ name, place }) => (
              <NavLink key={place} to={place} end={place === '/'}>{say(name)}</NavLink>
            ))}
          </nav>
          <Palette />
          <span className="who wide">{me?.name ?? me?.email}</span>
          <Button look="plain" onPress={() => signOut().catch((thrown) => setProblem(problemOf(thrown)))}>
            {say('sign-out')}
          </Button>
        </header>
        <div className="banners">
          {problem && <ProblemNote problem={problem} texts={{ unreachable: 'not-signed-out' }} />}
          <ConnectionBanner />
          <SessionEnd />
        </div>
        <main id="content">{props.children}</main>
        <footer className="foot">
          <span>{say('version', { version: VERSION })}</span>
          <a href="/docs">{say('api-reference')}</a>
          <LanguageChoice />
        </footer>
      </div>
    </LiveConnection>
  )
}
