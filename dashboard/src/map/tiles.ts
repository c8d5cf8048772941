/** Pictures of streets above the land, where the installation has a server of them (`OPSC_MAP_TILES`). */
import type * as maplibre from 'maplibre-gl'
import { scheme } from './base-map'

function setting(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name='${name}']`)?.content ?? ''
}

/** The address of a picture, with {z}, {x} and {y}; null where there are none. */
export const TILES = setting('map-tiles') || null

const MOST_ZOOM = 19 // closer, the pictures are enlarged
const NIGHT: NonNullable<maplibre.RasterLayerSpecification['paint']> = { 'raster-brightness-max': 0.55, 'raster-saturation': -0.4 }

/** first: the layer above them. onChange: called where they cannot be had, and where they can be again. */
export function addTiles(map: maplibre.Map, tiles: string, first: string, onChange: (isLost: boolean) => void): void {
  map.addSource('tiles', { type: 'raster', tiles: [tiles], tileSize: 256, maxzoom: MOST_ZOOM, attribution: setting('map-attribution') })
  const paint = scheme() === 'dark' ? NIGHT : {}
  map.addLayer({ id: 'tiles', type: 'raster', source: 'tiles', paint }, first)
  let isLost = false
  function note(now: boolean): void {
    if (isLost !== now) onChange(now)
    isLost = now
  }
  map.on('error', (failure) => 'sourceId' in failure && failure.sourceId === 'tiles' && note(true))
  map.on('data', (event) => 'tile' in event && 'sourceId' in event && event.sourceId === 'tiles' && note(false))
}
