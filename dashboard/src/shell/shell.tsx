import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { NavLink } from 'react-router'
import { api, data } from '../api/client'
import { ConnectionBanner } from '../live/connection-banner'
import { LiveConnection } from '../live/live'
import { useSession, useSignIn } from '../session/session'
import icon from '../style/icon.svg'
import { LanguageChoice } from '../texts/language-choice'
import { useSay } from '../texts/texts'
import { Button } from '../ui/forms'
import { Palette } from './palette'
import { pagesFor } from './places'

/** The version of the page: it stands in the foot, and in reports of errors. */
export const VERSION =
  document.querySelector<HTMLMetaElement>('meta[name=application-version]')?.content ?? ''

/** What stands around every page of somebody who is signed in. */
export function Shell(props: { children: ReactNode }) {
  const say = useSay()
  const { signOut } = useSignIn()
  const { role } = useSession()
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
          <Button look="plain" onPress={() => void signOut()}>
            {say('sign-out')}
          </Button>
        </header>
        <ConnectionBanner />
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
