/** Streets above the land, where the installation has a server of them (`OPSC_MAP_TILES`): pictures, or a MapLibre style. */
import type * as maplibre from 'maplibre-gl'
import { scheme } from './base-map'

function setting(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name='${name}']`)?.content ?? ''
}

/** The address of a picture, with {z}, {x} and {y}, or that of a style; null where there are none. */
export const TILES = setting('map-tiles') || null
/** A layer below all of them, before they are there. */
export const BELOW_TILES = 'below-tiles'

const MOST_ZOOM = 19 // closer, the pictures are enlarged
const OWN = 'streets-' // no names of ours begin so
const NIGHT: NonNullable<maplibre.RasterLayerSpecification['paint']> = { 'raster-brightness-max': 0.55, 'raster-saturation': -0.4 }

type Streets = Pick<maplibre.StyleSpecification, 'sources' | 'layers' | 'sprite'>

function picturesOf(tiles: string): Streets {
  const pictures = { type: 'raster' as const, tiles: [tiles], tileSize: 256, maxzoom: MOST_ZOOM }
  const paint = scheme() === 'dark' ? NIGHT : {}
  return { sources: { pictures }, layers: [{ id: 'pictures', type: 'raster', source: 'pictures', paint }] }
}

/** Its glyphs are left out: all text is drawn with fonts of the browser, also that of ours, which its server may not have. */
async function readStyle(address: string): Promise<Streets> {
  const answer = await fetch(address)
  if (!answer.ok) throw new Error(`${answer.status} ${address}`)
  return (await answer.json()) as Streets
}

/** first: the layer above them. onChange: called where they cannot be had, and where they can be again. */
export function addTiles(map: maplibre.Map, tiles: string, first: string, onChange: (isLost: boolean) => void): void {
  map.addLayer({ id: BELOW_TILES, type: 'background', layout: { visibility: 'none' } }, first)
  let isLost = false
  function note(now: boolean): void {
    if (isLost !== now) onChange(now)
    isLost = now
  }
  const isOwn = (event: object) => 'sourceId' in event && String(event.sourceId).startsWith(OWN)
  map.on('error', (failure) => isOwn(failure) && note(true))
  map.on('data', (event) => 'tile' in event && isOwn(event) && note(false))
  if (tiles.includes('{z}')) add(map, picturesOf(tiles), first)
  else readStyle(tiles).then((style) => add(map, style, first)).catch(() => note(true))
}

function add(map: maplibre.Map, { sources, layers, sprite }: Streets, first: string): void {
  const attribution = setting('map-attribution')
  for (const [id, source] of Object.entries(sources)) {
    map.addSource(OWN + id, (attribution === '' ? source : { attribution, ...source }) as maplibre.SourceSpecification)
  }
  const sprites = typeof sprite === 'string' ? [{ id: 'default', url: sprite }] : (sprite ?? [])
  for (const { id, url } of sprites) map.addSprite(id, url)
  for (const layer of layers) {
    const own = { ...layer, id: OWN + layer.id, ...('source' in layer ? { source: OWN + String(layer.source) } : {}) }
    map.addLayer(own as maplibre.LayerSpecification, first)
  }
}
