import { useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'
import { usePeople, usePositions } from '../live/live'
import { isPerson, useShowsPeople } from '../live/people'
import { STATES, stateOf, type State } from '../live/positions'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Note } from '../ui/forms'
import type { Zone } from '../zones/shapes'
import { useZones } from '../zones/use-zones'
import { AssetList } from './asset-list'
import { FirstSteps } from './first-steps'
import { FleetMap } from './fleet-map'
import { PersonMark } from './mark'
import { PersonCard } from './person-card'

const NO_ZONES: readonly Zone[] = []
const HIDDEN = 'hidden'

/** The live map with its list. What is chosen and filtered stands in the address. */
export default function MapPage() {
  const say = useSay()
  const assets = usePositions()
  const people = usePeople()
  const maySeePeople = useShowsPeople()
  const zones = useZones()
  const mayChange = useHasRole('dispatcher')
  const [address, setAddress] = useSearchParams()
  const [isFailed, setIsFailed] = useState(false)
  const hasPeople = maySeePeople && address.get('people') !== HIDDEN
  const positions = useMemo(() => (hasPeople ? [...people, ...assets] : assets), [assets, hasPeople, people])
  const chosen = (hasPeople ? address.get('person') : null) ?? address.get('asset')
  const words = address.get('q') ?? ''
  const wanted = address.get('state')

  function set(changed: Record<string, string | null>) {
    setAddress((old) => {
      const next = new URLSearchParams(old)
      for (const [name, value] of Object.entries(changed)) {
        if (value === null || value === '') next.delete(name)
        else next.set(name, value)
      }
      return next
    }, { replace: true })
  }

  function choose(id: string | null) {
    set(id !== null && isPerson(id) ? { person: id, asset: null } : { person: null, asset: id })
  }

  const now = Date.now()
  const counts = useMemo(() => {
    const found: Record<State, number> = { moving: 0, standing: 0, silent: 0, unknown: 0 }
    for (const item of positions) found[stateOf(item, now)] += 1
    return found
    // States that change by age alone are counted with the next position.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [positions])
  const letters = words.toLocaleLowerCase()
  const shown = positions.filter(
    (item) =>
      (letters === '' || item.name.toLocaleLowerCase().includes(letters)) &&
      (wanted === null || stateOf(item, now) === wanted),
  )
  const person = chosen !== null && isPerson(chosen) ? people.find(({ id }) => id === chosen) : undefined
  return (
    <div className={isFailed ? 'map-page without-map' : 'map-page'}>
      <section className="side" aria-label={say('assets')}>
        <h1 className="unseen">{say('map')}</h1>
        <input
          type="search"
          value={words}
          placeholder={say(hasPeople ? 'find-asset-or-person' : 'find-asset')}
          aria-label={say(hasPeople ? 'find-asset-or-person' : 'find-asset')}
          onChange={(event) => set({ q: event.target.value })}
        />
        <div className="chips" role="group" aria-label={say('by-state')}>
          {STATES.map((state) => (
            <button
              key={state}
              type="button"
              aria-pressed={wanted === state}
              onClick={() => set({ state: wanted === state ? null : state })}
            >
              <span className={`mark ${state}`} aria-hidden="true" />
              {say(`state-${state}`)} <b>{counts[state]}</b>
            </button>
          ))}
          {maySeePeople && (
            <button
              type="button"
              aria-pressed={hasPeople}
              onClick={() => set({ people: hasPeople ? HIDDEN : null, person: null })}
            >
              <PersonMark state="standing" />
              {say('people')} <b>{people.length}</b>
            </button>
          )}
        </div>
        {person && <PersonCard item={person} onClose={() => choose(null)} />}
        {mayChange && <FirstSteps positions={assets} hasZone={(zones.data?.length ?? 0) > 0} />}
        {assets.length === 0 && <Note kind="plain">{say('no-assets')}</Note>}
        {positions.length > 0 && shown.length === 0 && <Note kind="plain">{say('none-found')}</Note>}
        <AssetList label={say(hasPeople ? 'assets-and-people' : 'assets')} items={shown} chosen={chosen} onChoose={choose} />
      </section>
      {isFailed ? (
        <Note kind="plain">{say('no-webgl')}</Note>
      ) : (
        <FleetMap
          label={say('map')}
          zones={zones.data ?? NO_ZONES}
          hasPeople={hasPeople}
          chosen={chosen}
          onChoose={choose}
          onFailed={() => setIsFailed(true)}
        />
      )}
    </div>
  )
}
