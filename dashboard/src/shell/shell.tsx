import { useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { api, data } from '../api/client'
import { problemOf, type Problem } from '../api/problem'
import { ConnectionBanner } from '../live/connection-banner'
import { LiveConnection } from '../live/live'
import { DisplayChoice, LanguageChoice } from '../session/display-choice'
import { useIsChoiceLost, useSignIn } from '../session/session'
import { SessionEnd } from '../session/session-end'
import icon from '../style/icon.svg'
import { useDisplay } from '../texts/display'
import { useSay } from '../texts/texts'
import { Button, ProblemNote } from '../ui/forms'
import { VERSION } from '../version'
import { MenuButton, Navigation, useMenu } from './navigation'
import { Palette } from './palette'

/** What stands around every page of somebody who is signed in. */
export function Shell(props: { children: ReactNode }) {
  const say = useSay()
  const { signOut } = useSignIn()
  const [isMenuOpen, setIsMenuOpen] = useMenu()
  const [problem, setProblem] = useState<Problem | null>(null)
  const display = useDisplay()
  const isChoiceLost = useIsChoiceLost()
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
          <MenuButton isOpen={isMenuOpen} onChange={setIsMenuOpen} />
          <span className="space" />
          <Palette />
          <span className="who wide">{me?.name ?? me?.email}</span>
          <Button look="plain" onPress={() => signOut().catch((thrown) => setProblem(problemOf(thrown)))}>
            {say('sign-out')}
          </Button>
        </header>
        <Navigation isOpen={isMenuOpen} onChosen={() => setIsMenuOpen(false)} />
        <div className="banners">
          {problem && <ProblemNote problem={problem} texts={{ unreachable: 'not-signed-out' }} />}
          {isChoiceLost && <div className="banner" role="status">{say('choice-not-saved')}</div>}
          <ConnectionBanner />
          <SessionEnd />
        </div>
        <main key={JSON.stringify(display)} id="content">
          {props.children}
        </main>
        <footer className="foot">
          <span>{say('version', { version: VERSION })}</span>
          <a href="/docs">{say('api-reference')}</a>
          <DisplayChoice />
          <LanguageChoice />
        </footer>
      </div>
    </LiveConnection>
  )
}
