/** Zones on a map, by kind. */
import type * as maplibre from 'maplibre-gl'
import { featuresOf, type Zone } from '../zones/shapes'
import { scheme } from './base-map'
import { ZONE_COLOURS } from './marks'

const NAMES_ZOOM = 12

export function addZones(map: maplibre.Map, zones: readonly Zone[]): void {
  const colour: maplibre.ExpressionSpecification = ['match', ['get', 'kind'], ...ZONE_COLOURS, '#6b7280']
  map.addSource('zones', { type: 'geojson', data: featuresOf(zones) })
  map.addLayer({ id: 'zones', type: 'fill', source: 'zones', paint: { 'fill-color': colour, 'fill-opacity': 0.12 } })
  map.addLayer({
    id: 'zone-edges',
    type: 'line',
    source: 'zones',
    filter: ['get', 'hasEdge'],
    paint: { 'line-color': colour, 'line-width': 2 },
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

export function setZones(map: maplibre.Map | null, zones: readonly Zone[]): void {
  map?.getSource<maplibre.GeoJSONSource>('zones')?.setData(featuresOf(zones))
}
