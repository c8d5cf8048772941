/** The map below everything: land, borders and lakes, drawn without anything from outside. */
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import type { StyleSpecification } from 'maplibre-gl'
import type { FeatureCollection } from 'geojson'

/** Colours of a scheme. */
interface Colours {
  sea: string
  land: string
  border: string
}

const COLOURS: Record<'light' | 'dark', Colours> = {
  light: { sea: '#d3e3ec', land: '#f4f2ec', border: '#b9b4a7' },
  dark: { sea: '#16212b', land: '#222b33', border: '#46525d' },
}

export function scheme(): 'light' | 'dark' {
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
}

/** The style of an empty map, which is drawn at once. */
export function emptyStyle(): StyleSpecification {
  const { sea } = COLOURS[scheme()]
  return {
    version: 8,
    sources: {},
    layers: [{ id: 'sea', type: 'background', paint: { 'background-color': sea } }],
  }
}

/** The land, as GeoJSON, with the layers that draw it. It is 700 KB: read after the map is there. */
export async function landLayers() {
  const { land, border } = COLOURS[scheme()]
  const world = (await import('world-atlas/countries-50m.json')).default as unknown as Topology<{
    countries: GeometryCollection
  }>
  return {
    data: feature(world, world.objects.countries) as FeatureCollection,
    layers: [
      { id: 'land', type: 'fill' as const, source: 'land', paint: { 'fill-color': land } },
      { id: 'border', type: 'line' as const, source: 'land', paint: { 'line-color': border } },
    ],
  }
}
