/** What of a fleet and its people is on the map, and what has to change there. Handing thousands of assets to MapLibre's
 *  worker anew takes longer than a page may stand still. */
import type { GeoJSONSourceDiff } from 'maplibre-gl'
import type { Feature, Point } from 'geojson'
import { isPerson } from '../live/people'
import { stateOf, type LivePosition } from '../live/positions'

/** Before the state, in the names of marks of people. */
export const PERSON = 'person-'

const STEP_DEG = 5 // of headings, which hardly anybody sees: most changes are then those of a place alone

type Place = readonly [lon: number, lat: number]
interface Properties {
  id: string
  name: string
  mark: string
  heading: number
}
interface Drawn {
  place: Place
  properties: Properties
}

function drawnOf(item: LivePosition, now: number): Drawn | null {
  if (item.position === null) return null
  const { lon, lat, course_deg } = item.position
  const state = stateOf(item, now)
  const isArrow = state === 'moving' && !isPerson(item.id) // nothing else is turned
  const heading = isArrow ? Math.round((course_deg ?? 0) / STEP_DEG) * STEP_DEG : 0
  const mark = isPerson(item.id) ? PERSON + state : state
  return { place: [lon, lat], properties: { id: item.id, name: item.name, mark, heading } }
}

function featureOf({ place, properties }: Drawn): Feature<Point, Properties> {
  return { type: 'Feature', geometry: { type: 'Point', coordinates: [...place] }, properties: { ...properties } }
}

/** The feature of one asset, or of none. */
export function featuresOf(item: LivePosition | undefined, now: number) {
  const drawn = item === undefined ? null : drawnOf(item, now)
  return { type: 'FeatureCollection' as const, features: drawn === null ? [] : [featureOf(drawn)] }
}

type Update = NonNullable<GeoJSONSourceDiff['update']>[number]

/** What makes one of the other; null where they are alike. */
function updateOf(before: Drawn, after: Drawn): Update | null {
  const { properties } = after
  const changed = (['name', 'mark', 'heading'] as const).filter((key) => before.properties[key] !== properties[key])
  const hasMoved = before.place[0] !== after.place[0] || before.place[1] !== after.place[1]
  if (!hasMoved && changed.length === 0) return null
  return {
    id: properties.id,
    ...(hasMoved ? { newGeometry: { type: 'Point', coordinates: [...after.place] } } : {}),
    ...(changed.length > 0 ? { addOrUpdateProperties: changed.map((key) => ({ key, value: properties[key] })) } : {}),
  }
}

/** Assets and employees that a source with `promoteId: 'id'` has, once it was given each diff. */
export class FleetChanges {
  private drawn = new Map<string, Drawn>()

  /** The diff that leads to these without one of them; null where nothing differs. */
  next(items: readonly LivePosition[], without: string | null, now: number): GeoJSONSourceDiff | null {
    const before = this.drawn
    this.drawn = new Map()
    const [add, update]: [Feature[], Update[]] = [[], []]
    for (const item of items) {
      const after = item.id === without ? null : drawnOf(item, now)
      if (after === null) continue
      const known = before.get(item.id)
      const change = known === undefined ? null : updateOf(known, after)
      if (known === undefined) add.push(featureOf(after))
      else if (change !== null) update.push(change)
      this.drawn.set(item.id, after)
    }
    const remove = [...before.keys()].filter((id) => !this.drawn.has(id))
    return remove.length + add.length + update.length === 0 ? null : { remove, add, update }
  }
}
