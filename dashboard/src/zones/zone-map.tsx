/** The map of zones, on which a shape is drawn or changed. */
import * as maplibre from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { newMap } from '../map/new-map'
import { addFilled, addZones, REACH, setZones, ZONE_LAYERS } from '../map/zone-layers'
import { Drawing, type Drawn, type Mode } from './drawing'
import { extentOf, shapeOf, widthAtZoom0, type Outline, type Zone } from './shapes'

/** What is drawn: begin a shape of a kind, or change one. `key` tells one task from another. */
export type Task = { key: string } & ({ mode: Mode } | { shape: Drawn })

export function ZoneMap(props: {
  label: string
  zones: readonly Zone[]
  chosen: Zone | null
  task: Task | null
  /** What is drawn, or a version that is looked at. */
  preview: Outline | null
  onDrawn: (drawn: Drawn | null) => void
  onChoose: (id: string) => void
  onFailed: () => void
}) {
  const place = useRef<HTMLDivElement>(null)
  const map = useRef<maplibre.Map | null>(null)
  const drawing = useRef<Drawing | null>(null)
  const isFitted = useRef(false)
  const current = useRef(props)
  current.current = props

  useEffect(() => {
    let made: maplibre.Map
    try {
      made = newMap(place.current!, current.current.label, 'zones', (ready) => {
        addZones(ready, current.current.zones)
        addPreview(ready)
        isFitted.current = current.current.zones.length > 0
        fit(ready, current.current.zones)
        work()
      })
    } catch {
      current.current.onFailed()
      return
    }
    map.current = made
    made.on('click', (event) => {
      if (current.current.task !== null || !made.getLayer('zones')) return
      const [found] = made.queryRenderedFeatures(event.point, { layers: ZONE_LAYERS })
      if (found) current.current.onChoose(String(found.properties.id))
    })
    return () => {
      drawing.current?.end()
      drawing.current = null
      map.current = null
      made.remove()
    }
    // One map for as long as the page is open.
  }, [])

  function work(): void {
    const { task } = current.current
    const made = map.current
    if (!made?.getSource('preview')) return
    if (task === null) {
      drawing.current?.end()
      drawing.current = null
      return
    }
    drawing.current ??= new Drawing(made, (drawn) => current.current.onDrawn(drawn))
    if ('mode' in task) drawing.current.begin(task.mode)
    else drawing.current.show(task.shape)
  }

  useEffect(() => {
    work()
  }, [props.task?.key])
  useEffect(() => {
    setZones(map.current, props.zones)
    if (!isFitted.current && props.zones.length > 0 && map.current?.getSource('zones')) {
      isFitted.current = true
      fit(map.current, props.zones)
    }
  }, [props.zones])
  useEffect(() => {
    const { preview } = props
    const features = preview === null ? [] : [{ type: 'Feature' as const, properties: { width: widthAtZoom0(preview) }, geometry: shapeOf(preview) }]
    map.current?.getSource<maplibre.GeoJSONSource>('preview')?.setData({ type: 'FeatureCollection', features })
    if (preview !== null && props.task === null && map.current) fit(map.current, [preview]) // a version is looked at
  }, [props.preview])
  useEffect(() => {
    if (props.chosen && map.current) fit(map.current, [props.chosen])
  }, [props.chosen?.id])

  return <div ref={place} className="map" />
}

function addPreview(map: maplibre.Map): void {
  map.addSource('preview', { type: 'geojson', buffer: REACH, data: { type: 'FeatureCollection', features: [] } })
  addFilled(map, 'preview', 'preview', 'preview-corridor', '#0b5fae', 0.25)
}

function fit(map: maplibre.Map, zones: readonly Outline[]): void {
  const bounds = new maplibre.LngLatBounds()
  for (const zone of zones) for (const [lon, lat] of extentOf(zone)) bounds.extend([lon!, lat!])
  if (!bounds.isEmpty()) map.fitBounds(bounds, { padding: 60, maxZoom: 16, animate: false })
}
