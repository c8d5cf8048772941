/** The live map: one component around MapLibre, which reads positions from their store by itself. */
import * as maplibre from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import type { Point } from 'geojson'
import { people, positions } from '../live/live'
import { STATES, stateOf, type LivePosition } from '../live/positions'
import type { Zone } from '../zones/shapes'
import { scheme } from './base-map'
import { FleetChanges, PERSON, featuresOf } from './fleet-changes'
import { mark, personMark } from './marks'
import { newMap } from './new-map'
import { addZones, setZones } from './zone-layers'

const AGES_MS = 10_000 // how often states are looked at where nothing comes
const CLOSE_ZOOM = 15
const LABEL_ZOOM = 9

function symbols(id: string, source: string, isChosen: boolean): maplibre.SymbolLayerSpecification {
  const ink = scheme() === 'dark' ? '#e8edf1' : '#1b2733'
  const halo = scheme() === 'dark' ? '#16212b' : '#ffffff'
  return {
    id,
    type: 'symbol',
    source,
    filter: ['!', ['has', 'point_count']],
    layout: {
      'icon-image': ['get', 'mark'],
      'icon-size': isChosen ? 0.8 : 0.5,
      'icon-rotate': ['get', 'heading'],
      'icon-rotation-alignment': 'map',
      'icon-allow-overlap': true,
      'icon-ignore-placement': true,
      'text-field': isChosen ? ['get', 'name'] : ['step', ['zoom'], '', LABEL_ZOOM, ['get', 'name']],
      'text-size': isChosen ? 14 : 12,
      'text-offset': [0, 1.2],
      'text-anchor': 'top',
      'text-optional': true,
    },
    paint: { 'text-color': ink, 'text-halo-color': halo, 'text-halo-width': 1.5 },
  }
}

function addFleet(map: maplibre.Map): void {
  for (const state of STATES) {
    map.addImage(state, mark(state), { pixelRatio: 1 })
    map.addImage(PERSON + state, personMark(state), { pixelRatio: 1 })
  }
  const empty = { type: 'FeatureCollection' as const, features: [] }
  map.addSource('fleet', { type: 'geojson', data: empty, promoteId: 'id', cluster: true, clusterMaxZoom: 11, clusterRadius: 40 })
  map.addSource('chosen', { type: 'geojson', data: empty })
  map.addLayer({
    id: 'clusters',
    type: 'circle',
    source: 'fleet',
    filter: ['has', 'point_count'],
    paint: {
      'circle-color': '#0b5fae',
      'circle-radius': ['step', ['get', 'point_count'], 14, 10, 18, 100, 24],
      'circle-stroke-color': '#ffffff',
      'circle-stroke-width': 2,
    },
  })
  map.addLayer({
    id: 'cluster-counts',
    type: 'symbol',
    source: 'fleet',
    filter: ['has', 'point_count'],
    layout: { 'text-field': ['get', 'point_count_abbreviated'], 'text-size': 13, 'text-allow-overlap': true },
    paint: { 'text-color': '#ffffff' },
  })
  map.addLayer(symbols('fleet', 'fleet', false))
  map.addLayer(symbols('chosen', 'chosen', true))
}

function boundsOf(items: readonly LivePosition[]): maplibre.LngLatBounds | null {
  const bounds = new maplibre.LngLatBounds()
  for (const { position } of items) if (position) bounds.extend([position.lon, position.lat])
  return bounds.isEmpty() ? null : bounds
}

/** chosen: the asset or employee that is shown larger, and followed. onFailed: the browser cannot draw it. */
export function FleetMap(props: {
  label: string
  zones: readonly Zone[]
  hasPeople: boolean
  chosen: string | null
  onChoose: (id: string | null) => void
  onFailed: () => void
}) {
  const place = useRef<HTMLDivElement>(null)
  const map = useRef<maplibre.Map | null>(null)
  const redraw = useRef(() => {})
  const current = useRef(props)
  current.current = props

  useEffect(() => {
    let made: maplibre.Map
    let isFitted = false
    let isReady = false
    let isDrawing = false
    const fleet = new FleetChanges()
    let lastSeen: string | null = null // of the asset that is followed: which, and when
    try {
      made = newMap(place.current!, current.current.label, 'zones', (map) => {
        addZones(map, current.current.zones)
        addFleet(map)
        isReady = true
        draw()
      })
    } catch {
      current.current.onFailed() // no WebGL
      return
    }
    map.current = made

    function items(): readonly LivePosition[] {
      return current.current.hasPeople ? [...people.all(), ...positions.all()] : positions.all()
    }

    function draw() {
      if (!isReady || map.current === null) return
      const { chosen } = current.current
      const item = items().find(({ id }) => id === chosen)
      made.getSource<maplibre.GeoJSONSource>('chosen')?.setData(featuresOf(item, Date.now()))
      if (!isFitted) fit()
      follow(item)
      void drawFleet()
    }

    /** One change after the other, until what is drawn is what there is. */
    async function drawFleet() {
      if (isDrawing) return
      isDrawing = true
      while (map.current !== null) {
        const diff = fleet.next(items(), current.current.chosen, Date.now())
        if (diff === null) break
        await made.getSource<maplibre.GeoJSONSource>('fleet')?.updateData(diff)
      }
      isDrawing = false
    }

    /** Show those that are heard of, else all. */
    function fit() {
      const heard = items().filter((item) => stateOf(item, Date.now()) !== 'silent')
      const bounds = boundsOf(heard) ?? boundsOf(items())
      if (!bounds) return
      isFitted = true
      made.fitBounds(bounds, { padding: 60, maxZoom: CLOSE_ZOOM, animate: false })
    }

    function follow(item: LivePosition | undefined) {
      const position = item?.position
      const seen = position ? `${item.id} ${position.time}` : null
      if (!position || seen === lastSeen) return
      const isNew = !lastSeen?.startsWith(`${item.id} `)
      lastSeen = seen
      const zoom = isNew ? { zoom: Math.max(made.getZoom(), CLOSE_ZOOM) } : {}
      made.easeTo({ center: [position.lon, position.lat], duration: 300, ...zoom })
    }
    redraw.current = draw

    made.on('click', (event) => {
      if (!isReady) return
      const [found] = made.queryRenderedFeatures(event.point, { layers: ['chosen', 'fleet', 'clusters'] })
      if (found?.layer.id === 'clusters') {
        made.easeTo({ center: (found.geometry as Point).coordinates as [number, number], zoom: made.getZoom() + 2 })
      } else {
        current.current.onChoose(found ? String(found.properties.id) : null)
      }
    })
    const drawLater = () => setTimeout(draw) // not in the task in which React draws the list
    const subscriptions = [positions.subscribe(drawLater), people.subscribe(drawLater)]
    const ageing = window.setInterval(draw, AGES_MS)
    return () => {
      for (const unsubscribe of subscriptions) unsubscribe()
      clearInterval(ageing)
      map.current = null
      made.remove()
    }
  }, [])

  useEffect(() => {
    setZones(map.current, props.zones)
  }, [props.zones])

  useEffect(() => {
    redraw.current()
  }, [props.chosen, props.hasPeople])

  return <div ref={place} className="map" />
}
