/** Zones on a map, by kind. */
import type * as maplibre from 'maplibre-gl'
import { featuresOf, type MapZone } from '../zones/shapes'
import { scheme } from './base-map'
import { ZONE_COLOURS } from './marks'

const NAMES_ZOOM = 12
const MOST_ZOOM = 24
/** Half a tile: so far beyond its line a corridor may reach, or it would be cut at the edges of tiles. */
export const REACH = 256
type Expression = maplibre.ExpressionSpecification
const IS_CORRIDOR: Expression = ['==', ['geometry-type'], 'LineString']
const IS_AREA: Expression = ['!', IS_CORRIDOR]
/** A width in pixels at zoom 0, as it is at each zoom: the same on the ground. */
const ON_THE_GROUND: Expression = [
  ...(['interpolate', ['exponential', 2], ['zoom']] as const),
  ...[0, ['get', 'width'] as Expression, MOST_ZOOM, ['*', ['get', 'width'], 2 ** MOST_ZOOM] as Expression],
] as Expression

/** The layers on which zones are clicked. */
export const ZONE_LAYERS = ['zones', 'zone-corridors']

/** Layers of areas and of corridors, which are filled alike. The first is `id`, the other `corridors`. */
export function addFilled(map: maplibre.Map, source: string, id: string, corridors: string, colour: Expression | string, opacity: number): void {
  map.addLayer({ id, type: 'fill', source, filter: IS_AREA, paint: { 'fill-color': colour, 'fill-opacity': opacity } })
  map.addLayer({
    id: corridors,
    type: 'line',
    source,
    filter: IS_CORRIDOR,
    layout: { 'line-cap': 'round', 'line-join': 'round' },
    paint: { 'line-color': colour, 'line-opacity': opacity, 'line-width': ON_THE_GROUND },
  })
}

export function addZones(map: maplibre.Map, zones: readonly MapZone[]): void {
  const colour: Expression = ['match', ['get', 'kind'], ...ZONE_COLOURS, '#6b7280']
  map.addSource('zones', { type: 'geojson', buffer: REACH, data: featuresOf(zones) })
  addFilled(map, 'zones', 'zones', 'zone-corridors', colour, 0.12)
  map.addLayer({
    id: 'zone-edges',
    type: 'line',
    source: 'zones',
    filter: IS_AREA,
    paint: { 'line-color': colour, 'line-width': 2 },
  })
  map.addLayer({
    id: 'corridor-edges',
    type: 'line',
    source: 'zones',
    filter: IS_CORRIDOR,
    layout: { 'line-join': 'round' },
    paint: { 'line-color': colour, 'line-width': 1.5, 'line-gap-width': ON_THE_GROUND },
  })
  map.addLayer({
    id: 'zone-names',
    type: 'symbol',
    source: 'zones',
    minzoom: NAMES_ZOOM,
    layout: { 'text-field': ['get', 'name'], 'text-size': 11 },
    paint: {
      'text-color': scheme() === 'dark' ? '#e8edf1' : '#1b2733',
      'text-halo-color': scheme() === 'dark' ? '#16212b' : '#ffffff',
      'text-halo-width': 1,
    },
  })
}

export function setZones(map: maplibre.Map | null, zones: readonly MapZone[]): void {
  map?.getSource<maplibre.GeoJSONSource>('zones')?.setData(featuresOf(zones))
}
