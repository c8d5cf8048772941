/** Pictures of streets above the land, where the installation has a server of them (`OPSC_MAP_TILES`). */
import type * as maplibre from 'maplibre-gl'
import { scheme } from './base-map'

function setting(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name='${name}']`)?.content ?? ''
}

/** The address of a picture, with {z}, {x} and {y}; null where there are none. */
export const TILES = setting('map-tiles') || null

const NIGHT: NonNullable<maplibre.RasterLayerSpecification['paint']> = { 'raster-brightness-max': 0.55, 'raster-saturation': -0.4 }

/** first: the layer above them. onFailed: called once, where they cannot be had. */
export function addTiles(map: maplibre.Map, tiles: string, first: string, onFailed: () => void): void {
  map.addSource('tiles', { type: 'raster', tiles: [tiles], tileSize: 256, attribution: setting('map-attribution') })
  const paint = scheme() === 'dark' ? NIGHT : {}
  map.addLayer({ id: 'tiles', type: 'raster', source: 'tiles', paint }, first)
  let isTold = false
  map.on('error', (failure) => {
    if (!('sourceId' in failure) || failure.sourceId !== 'tiles' || isTold) return
    isTold = true
    onFailed()
  })
}
