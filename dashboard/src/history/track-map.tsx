/** The ways of assets on a map, and where they were at one instant. */
import * as maplibre from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { newMap } from '../map/new-map'
import { addZones, setZones } from '../map/zone-layers'
import type { MapZone } from '../zones/shapes'
import { linesOf, placeAt, type Fix } from './track'

/** The colours of ways, in their order. */
export const WAY_COLOURS = ['#0b5fae', '#b45309', '#7b3fa0'] as const
const COLOUR: maplibre.ExpressionSpecification = ['get', 'colour']
type Way = readonly Fix[]

function waysOf(ways: readonly Way[]) {
  const features = ways.flatMap((fixes, number) =>
    linesOf(fixes).features.map((line) => ({ ...line, properties: { ...line.properties, colour: WAY_COLOURS[number]! } })),
  )
  return { type: 'FeatureCollection' as const, features }
}

function marksAt(ways: readonly Way[], at: number) {
  const features = ways.flatMap((fixes, number) => {
    const place = placeAt(fixes, at)
    if (place === null) return []
    const geometry = { type: 'Point' as const, coordinates: [place.lon, place.lat] }
    return [{ type: 'Feature' as const, properties: { colour: WAY_COLOURS[number]! }, geometry }]
  })
  return { type: 'FeatureCollection' as const, features }
}

function addTracks(map: maplibre.Map, ways: readonly Way[], at: number): void {
  map.addSource('way', { type: 'geojson', data: waysOf(ways) })
  map.addLayer({ id: 'way', type: 'line', source: 'way', filter: ['!', ['get', 'gap']], paint: { 'line-color': COLOUR, 'line-width': 3 } })
  map.addLayer({
    id: 'gaps',
    type: 'line',
    source: 'way',
    filter: ['get', 'gap'],
    paint: { 'line-color': COLOUR, 'line-width': 2, 'line-dasharray': [2, 3] },
  })
  map.addSource('mark', { type: 'geojson', data: marksAt(ways, at) })
  map.addLayer({
    id: 'mark',
    type: 'circle',
    source: 'mark',
    paint: { 'circle-radius': 8, 'circle-color': COLOUR, 'circle-stroke-color': '#ffffff', 'circle-stroke-width': 2 },
  })
}

export function TrackMap(props: {
  label: string
  ways: readonly Way[]
  zones: readonly MapZone[]
  at: number
  onFailed: () => void
}) {
  const place = useRef<HTMLDivElement>(null)
  const map = useRef<maplibre.Map | null>(null)
  const current = useRef(props)
  current.current = props

  useEffect(() => {
    let made: maplibre.Map
    try {
      made = newMap(place.current!, current.current.label, 'zones', (ready) => {
        const { zones, ways, at } = current.current
        addZones(ready, zones)
        addTracks(ready, ways, at)
        fit(ready, ways)
      })
    } catch {
      current.current.onFailed()
      return
    }
    map.current = made
    return () => {
      map.current = null
      made.remove()
    }
  }, [])

  useEffect(() => {
    setZones(map.current, props.zones)
  }, [props.zones])
  useEffect(() => {
    const made = map.current
    made?.getSource<maplibre.GeoJSONSource>('way')?.setData(waysOf(props.ways))
    if (made?.getSource('way')) fit(made, props.ways)
  }, [props.ways])
  useEffect(() => {
    map.current?.getSource<maplibre.GeoJSONSource>('mark')?.setData(marksAt(props.ways, props.at))
  }, [props.ways, props.at])

  return <div ref={place} className="map" />
}

function fit(map: maplibre.Map, ways: readonly Way[]): void {
  const bounds = new maplibre.LngLatBounds()
  for (const fix of ways.flat()) bounds.extend([fix.lon, fix.lat])
  if (!bounds.isEmpty()) map.fitBounds(bounds, { padding: 60, maxZoom: 16, animate: false })
}
