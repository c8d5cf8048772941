/** The way of an asset on a map, and where it was at one instant. */
import * as maplibre from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { newMap } from '../map/new-map'
import { addZones, setZones } from '../map/zone-layers'
import type { Zone } from '../zones/shapes'
import { linesOf, placeAt, type Fix } from './track'

const WAY = '#0b5fae'

function markAt(fixes: readonly Fix[], at: number) {
  const place = placeAt(fixes, at)
  const features =
    place === null
      ? []
      : [{ type: 'Feature' as const, properties: {}, geometry: { type: 'Point' as const, coordinates: [place.lon, place.lat] } }]
  return { type: 'FeatureCollection' as const, features }
}

function addTrack(map: maplibre.Map, fixes: readonly Fix[], at: number): void {
  map.addSource('way', { type: 'geojson', data: linesOf(fixes) })
  map.addLayer({ id: 'way', type: 'line', source: 'way', filter: ['!', ['get', 'gap']], paint: { 'line-color': WAY, 'line-width': 3 } })
  map.addLayer({
    id: 'gaps',
    type: 'line',
    source: 'way',
    filter: ['get', 'gap'],
    paint: { 'line-color': WAY, 'line-width': 2, 'line-dasharray': [2, 3] },
  })
  map.addSource('mark', { type: 'geojson', data: markAt(fixes, at) })
  map.addLayer({
    id: 'mark',
    type: 'circle',
    source: 'mark',
    paint: { 'circle-radius': 8, 'circle-color': '#0a7d4f', 'circle-stroke-color': '#ffffff', 'circle-stroke-width': 2 },
  })
}

export function TrackMap(props: {
  label: string
  fixes: readonly Fix[]
  zones: readonly Zone[]
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
        const { zones, fixes, at } = current.current
        addZones(ready, zones)
        addTrack(ready, fixes, at)
        fit(ready, fixes)
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

  useEffect(() => setZones(map.current, props.zones), [props.zones])
  useEffect(() => {
    const made = map.current
    made?.getSource<maplibre.GeoJSONSource>('way')?.setData(linesOf(props.fixes))
    if (made?.getSource('way')) fit(made, props.fixes)
  }, [props.fixes])
  useEffect(() => {
    map.current?.getSource<maplibre.GeoJSONSource>('mark')?.setData(markAt(props.fixes, props.at))
  }, [props.fixes, props.at])

  return <div ref={place} className="map" />
}

function fit(map: maplibre.Map, fixes: readonly Fix[]): void {
  const bounds = new maplibre.LngLatBounds()
  for (const fix of fixes) bounds.extend([fix.lon, fix.lat])
  if (!bounds.isEmpty()) map.fitBounds(bounds, { padding: 60, maxZoom: 16, animate: false })
}
