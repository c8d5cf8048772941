/** The shapes of zones as they are drawn: circles become polygons, corridors lines of a width. */
import type { Feature, FeatureCollection, LineString, MultiPolygon, Polygon, Position } from 'geojson'
import type { Schemas } from '../api/client'

export type Zone = Schemas['ZoneItem']
export type ZoneKind = Zone['kind']
/** The shape of a zone. */
export type Outline = Pick<Zone, 'geometry' | 'radius_m' | 'width_m'>
export type Shape = Polygon | MultiPolygon | LineString
/** What a map shows of a zone. */
export type MapZone = Pick<Zone, 'id' | 'name' | 'kind'> & Outline

export const ZONE_KINDS: readonly ZoneKind[] = ['restricted', 'allowed', 'jobsite', 'yard', 'other']

const EARTH_RADIUS_M = 6_371_008.8
const CORNERS = 64
const DEGREES = 180 / Math.PI
const WORLD_PX = 512 // the width of the world at zoom 0
const WORLD_M = 40_075_016.686 // along the equator

/** A place so far from another one, in metres to the east and to the north. */
export function moved([lon, lat]: Position, east_m: number, north_m: number): Position {
  const scale = Math.cos(lat! / DEGREES) || 1e-9
  return [
    lon! + (east_m / (EARTH_RADIUS_M * scale)) * DEGREES,
    lat! + (north_m / EARTH_RADIUS_M) * DEGREES,
  ]
}

/** A ring around a place. The first position stands at its end, too. */
export function circle(centre: Position, radius_m: number): Position[] {
  return Array.from({ length: CORNERS + 1 }, (_, corner) => {
    const angle = (2 * Math.PI * (corner % CORNERS)) / CORNERS
    return moved(centre, radius_m * Math.sin(angle), radius_m * Math.cos(angle))
  })
}

/** The shape of a zone on the map. */
export function shapeOf({ geometry, radius_m }: Outline): Shape {
  const { type, coordinates } = geometry as { type: string; coordinates: unknown }
  if (type === 'Point') return { type: 'Polygon', coordinates: [circle(coordinates as Position, radius_m ?? 0)] }
  return { type, coordinates } as Shape
}

/** How wide a corridor is at zoom 0, in pixels; it doubles with each zoom. 0 for all else. */
export function widthAtZoom0({ geometry, width_m }: Outline): number {
  const { type, coordinates } = geometry as { type: string; coordinates: Position[] }
  const [first] = coordinates
  if (type !== 'LineString' || first === undefined) return 0
  return ((width_m ?? 0) / (WORLD_M * Math.cos(first[1]! / DEGREES))) * WORLD_PX
}

/** Places between which a zone lies. */
export function extentOf(zone: Outline): Position[] {
  const shape = shapeOf(zone)
  if (shape.type === 'Polygon') return shape.coordinates[0] ?? []
  if (shape.type === 'MultiPolygon') return shape.coordinates.flatMap(([ring]) => ring ?? [])
  const half_m = (zone.width_m ?? 0) / 2
  return shape.coordinates.flatMap((at) => [moved(at, half_m, half_m), moved(at, -half_m, -half_m)])
}

/** What is known of a zone on the map. width: of a corridor, in pixels at zoom 0. */
interface ZoneFacts {
  id: string
  name: string
  kind: ZoneKind
  width: number
}

export function featuresOf(zones: readonly MapZone[]): FeatureCollection<Shape, ZoneFacts> {
  const features = zones.map(
    (zone): Feature<Shape, ZoneFacts> => ({
      type: 'Feature',
      geometry: shapeOf(zone),
      properties: { id: zone.id, name: zone.name, kind: zone.kind, width: widthAtZoom0(zone) },
    }),
  )
  return { type: 'FeatureCollection', features }
}
