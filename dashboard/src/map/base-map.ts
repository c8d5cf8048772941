/** The map below everything: land, borders, larger cities and lines of degrees, drawn without anything from outside. */
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import type { LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl'
import type { FeatureCollection, MultiLineString } from 'geojson'

/** Colours of a scheme. */
interface Colours {
  sea: string
  land: string
  border: string
  city: string
}

const COLOURS: Record<'light' | 'dark', Colours> = {
  light: { sea: '#d3e3ec', land: '#f4f2ec', border: '#b9b4a7', city: '#4b5563' },
  dark: { sea: '#16212b', land: '#222b33', border: '#46525d', city: '#a8b4bf' },
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

const STEP = 10 // degrees between two lines
const NORTH = 80
const NEAR_ZOOM = 6 // closer, lines of degrees tell nobody anything

/** The lines of each ten degrees. */
function graticule(): MultiLineString {
  const lines: number[][][] = []
  for (let lon = -180; lon < 180; lon += STEP) lines.push([[lon, -NORTH], [lon, NORTH]])
  for (let lat = -NORTH; lat <= NORTH; lat += STEP) lines.push([[-180, lat], [180, lat]])
  return { type: 'MultiLineString', coordinates: lines }
}

async function readLand(): Promise<FeatureCollection> {
  const world = (await import('world-atlas/countries-50m.json')).default as unknown as Topology<{
    countries: GeometryCollection
  }>
  return feature(world, world.objects.countries) as FeatureCollection
}

async function readCities(): Promise<FeatureCollection> {
  const features = (await import('virtual:cities')).default.map(([name, lon, lat, thousands]) => ({
    type: 'Feature' as const,
    geometry: { type: 'Point' as const, coordinates: [lon, lat] },
    properties: { name, thousands },
  }))
  return { type: 'FeatureCollection', features }
}

interface BaseMap {
  sources: Record<string, SourceSpecification>
  layers: LayerSpecification[]
}

/** Land, degrees and cities with the layers that draw them. They are 350 KB as they are sent: read after the map is there. */
export async function baseMap(): Promise<BaseMap> {
  const { land, border, city } = COLOURS[scheme()]
  const [ground, cities] = await Promise.all([readLand(), readCities()])
  return {
    sources: {
      land: { type: 'geojson', data: ground },
      degrees: { type: 'geojson', data: graticule() },
      cities: { type: 'geojson', data: cities },
    },
    layers: [
      { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': land } },
      { id: 'degrees', type: 'line', source: 'degrees', maxzoom: NEAR_ZOOM, paint: { 'line-color': border, 'line-width': 0.5, 'line-opacity': 0.6 } },
      { id: 'border', type: 'line', source: 'land', paint: { 'line-color': border } },
      {
        id: 'cities',
        type: 'symbol',
        source: 'cities',
        // The closer, the smaller ones too.
        filter: ['>=', ['get', 'thousands'], ['step', ['zoom'], 5_000, 3, 2_000, 4, 1_000, 5, 500, 6, 200, 7, 100, 8, 0]],
        layout: {
          'text-field': ['get', 'name'],
          'text-size': ['step', ['get', 'thousands'], 11, 300, 12, 2_000, 14],
          'symbol-sort-key': ['-', ['get', 'thousands']], // larger ones first
          'text-padding': 8,
          'text-max-width': 7,
        },
        paint: { 'text-color': city, 'text-halo-color': land, 'text-halo-width': 1.5 },
      },
    ],
  }
}
