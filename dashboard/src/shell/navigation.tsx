import { useEffect, useState } from 'react'
import { NavLink, useLocation } from 'react-router'
import { useSession } from '../session/session'
import { useSay } from '../texts/texts'
import { Button } from '../ui/forms'
import { GROUPS, pagesFor } from './places'

const ID = 'places'

/** Whether the navigation is open where there is no room for it beside the page. It closes when
 *  another page is chosen. */
export function useMenu() {
  const { pathname } = useLocation()
  const [isOpen, setIsOpen] = useState(false)
  useEffect(() => {
    setIsOpen(false)
  }, [pathname])
  useEffect(() => {
    if (!isOpen) return
    const onKey = (event: KeyboardEvent) => event.key === 'Escape' && setIsOpen(false)
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [isOpen])
  return [isOpen, setIsOpen] as const
}

/** The button of the navigation, on narrow screens. */
export function MenuButton(props: { isOpen: boolean; onChange: (isOpen: boolean) => void }) {
  const say = useSay()
  const { pathname } = useLocation()
  const { role } = useSession()
  const here = pagesFor(role).find(({ place }) => (place === '/' ? pathname === '/' : pathname.startsWith(place)))
  return (
    <span className="menu-button">
      <Button aria-expanded={props.isOpen} aria-controls={ID} onPress={() => props.onChange(!props.isOpen)}>
        <span aria-hidden="true">☰</span> {say('menu')}
      </Button>
      <b className="wide">{here && say(here.name)}</b>
    </span>
  )
}

/** All pages that the person may see, in groups. */
export function Navigation(props: { isOpen: boolean; onChosen: () => void }) {
  const say = useSay()
  const { role } = useSession()
  const pages = pagesFor(role)
  return (
    <nav id={ID} className={props.isOpen ? 'places open' : 'places'} aria-label={say('navigation')}>
      {GROUPS.map((group) => {
        const inGroup = pages.filter((page) => page.group === group)
        if (inGroup.length === 0) return null
        return (
          <div key={group} role="group" aria-labelledby={`${ID}-${group}`}>
            <span id={`${ID}-${group}`} className="small">{say(`group-${group}`)}</span>
            {inGroup.map(({ name, place }) => (
              <NavLink key={place} to={place} end={place === '/'} onClick={props.onChosen}>{say(name)}</NavLink>
            ))}
          </div>
        )
      })}
    </nav>
  )
}
