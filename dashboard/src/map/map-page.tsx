import { useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'
import { usePositions } from '../live/live'
import { STATES, stateOf, type State } from '../live/positions'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Note } from '../ui/forms'
import type { Zone } from '../zones/shapes'
import { useZones } from '../zones/use-zones'
import { AssetList } from './asset-list'
import { FirstSteps } from './first-steps'
import { FleetMap } from './fleet-map'

const NO_ZONES: readonly Zone[] = []

/** The live map with its list. What is chosen and filtered stands in the address. */
export default function MapPage() {
  const say = useSay()
  const positions = usePositions()
  const zones = useZones()
  const mayChange = useHasRole('dispatcher')
  const [address, setAddress] = useSearchParams()
  const [isFailed, setIsFailed] = useState(false)
  const chosen = address.get('asset')
  const words = address.get('q') ?? ''
  const wanted = address.get('state')

  function set(name: string, value: string | null) {
    setAddress((old) => {
      const next = new URLSearchParams(old)
      if (value === null || value === '') next.delete(name)
      else next.set(name, value)
      return next
    }, { replace: true })
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
  return (
    <div className={isFailed ? 'map-page without-map' : 'map-page'}>
      <section className="side" aria-label={say('assets')}>
        <h1 className="unseen">{say('map')}</h1>
        <input
          type="search"
          value={words}
          placeholder={say('find-asset')}
          aria-label={say('find-asset')}
          onChange={(event) => set('q', event.target.value)}
        />
        <div className="chips" role="group" aria-label={say('by-state')}>
          {STATES.map((state) => (
            <button
              key={state}
              type="button"
              aria-pressed={wanted === state}
              onClick={() => set('state', wanted === state ? null : state)}
            >
              <span className={`mark ${state}`} aria-hidden="true" />
              {say(`state-${state}`)} <b>{counts[state]}</b>
            </button>
          ))}
        </div>
        {mayChange && <FirstSteps positions={positions} hasZone={(zones.data?.length ?? 0) > 0} />}
        {positions.length === 0 && <Note kind="plain">{say('no-assets')}</Note>}
        {positions.length > 0 && shown.length === 0 && <Note kind="plain">{say('none-found')}</Note>}
        <AssetList items={shown} chosen={chosen} onChoose={(id) => set('asset', id)} />
      </section>
      {isFailed ? (
        <Note kind="plain">{say('no-webgl')}</Note>
      ) : (
        <FleetMap
          label={say('map')}
          zones={zones.data ?? NO_ZONES}
          chosen={chosen}
          onChoose={(id) => set('asset', id)}
          onFailed={() => setIsFailed(true)}
        />
      )}
    </div>
  )
}
