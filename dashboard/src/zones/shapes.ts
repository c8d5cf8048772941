/** The shapes of zones as they are drawn: circles and corridors become polygons. */
import type { Feature, FeatureCollection, MultiPolygon, Polygon, Position } from 'geojson'
import type { Schemas } from '../api/client'

export type Zone = Schemas['ZoneItem']
export type ZoneKind = Zone['kind']

export const ZONE_KINDS: readonly ZoneKind[] = ['restricted', 'allowed', 'jobsite', 'yard', 'other']

const EARTH_RADIUS_M = 6_371_008.8
const CORNERS = 64
const DEGREES = 180 / Math.PI

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

/** The rectangle around a piece of a line. */
function strip(from: Position, to: Position, half_m: number): Position[] {
  const scale = Math.cos(from[1]! / DEGREES)
  const [east, north] = [(to[0]! - from[0]!) * scale, to[1]! - from[1]!]
  const length = Math.hypot(east, north) || 1
  const [side_east, side_north] = [(-north / length) * half_m, (east / length) * half_m]
  const corners = [
    moved(from, side_east, side_north),
    moved(to, side_east, side_north),
    moved(to, -side_east, -side_north),
    moved(from, -side_east, -side_north),
  ]
  return [...corners, corners[0]!]
}

/** The area of a zone. A corridor is a strip for each piece and a circle at each vertex. */
export function areaOf(zone: Pick<Zone, 'geometry' | 'radius_m' | 'width_m'>): Polygon | MultiPolygon {
  const { type, coordinates } = zone.geometry as { type: string; coordinates: unknown }
  switch (type) {
    case 'Point':
      return { type: 'Polygon', coordinates: [circle(coordinates as Position, zone.radius_m ?? 0)] }
    case 'LineString': {
      const line = coordinates as Position[]
      const half_m = (zone.width_m ?? 0) / 2
      const strips = line.slice(1).map((to, place) => [strip(line[place]!, to, half_m)])
      return { type: 'MultiPolygon', coordinates: [...strips, ...line.map((at) => [circle(at, half_m)])] }
    }
    case 'MultiPolygon':
      return { type, coordinates: coordinates as Position[][][] }
    default:
      return { type: 'Polygon', coordinates: coordinates as Position[][] }
  }
}

/** What is known of a zone on the map. hasEdge: not a corridor, whose pieces overlap. */
interface ZoneFacts {
  id: string
  name: string
  kind: ZoneKind
  hasEdge: boolean
}

export function featuresOf(
  zones: readonly Zone[],
): FeatureCollection<Polygon | MultiPolygon, ZoneFacts> {
  const features = zones.map(
    (zone): Feature<Polygon | MultiPolygon, ZoneFacts> => ({
      type: 'Feature',
      geometry: areaOf(zone),
      properties: {
        id: zone.id,
        name: zone.name,
        kind: zone.kind,
        hasEdge: (zone.geometry as { type: string }).type !== 'LineString',
      },
    }),
  )
  return { type: 'FeatureCollection', features }
}
