/** Maps as all pages have them: controls, and land that is drawn when it has been read. */
import 'maplibre-gl/dist/maplibre-gl.css'
import * as maplibre from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { currentDisplay } from '../texts/display'
import { sayer } from '../texts/texts'
import { baseMap, emptyStyle } from './base-map'
import { addTiles, BELOW_TILES, TILES } from './tiles'

// The worker has the policy of its own file, which names the server of streets, and browsers keep files for a year.
maplibre.setWorkerUrl(TILES === null ? workerUrl : `${workerUrl}?${encodeURIComponent(new URL(TILES).origin)}`)
const ATTRIBUTION = [
  '<a href="https://www.naturalearthdata.com/">Natural Earth</a>',
  '<a href="https://www.geonames.org/">GeoNames</a> (<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>)',
]

/**
 * A map in an element. Throws where the browser has no WebGL.
 *
 * label: for who cannot see it. onReady: adds what lies above the land; it is called once, before the land is there. first: the
 * lowest layer that it adds.
 */
export function newMap(
  container: HTMLElement,
  label: string,
  first: string,
  onReady: (map: maplibre.Map) => void,
): maplibre.Map {
  const map = new maplibre.Map({
    container,
    style: emptyStyle(),
    center: [8.5, 47],
    zoom: 4,
    fadeDuration: 0,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    locale: { 'Map.Title': label },
    attributionControl: { compact: true, customAttribution: ATTRIBUTION },
  })
  let isRemoved = false
  map.once('remove', () => (isRemoved = true))
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), 'top-right')
  map.addControl(new maplibre.ScaleControl(), 'bottom-left')
  map.on('idle', () => (container.dataset.state = 'drawn'))
  map.on('load', () => {
    onReady(map)
    if (TILES !== null) addTiles(map, TILES, first, (isLost) => notice(container, isLost ? 'map-tiles-failed' : null))
    void baseMap().then(({ sources, layers }) => {
      if (isRemoved) return
      for (const [id, source] of Object.entries(sources)) map.addSource(id, source)
      for (const layer of layers) map.addLayer(layer, TILES === null ? first : BELOW_TILES)
    })
  })
  return map
}

/** Say something in a map's corner, or nothing any more. */
function notice(container: HTMLElement, name: string | null): void {
  container.querySelector('.map-notice')?.remove()
  if (name === null) return
  const text = document.createElement('p')
  text.className = 'map-notice'
  text.role = 'status'
  text.textContent = sayer(currentDisplay().language)(name)
  container.append(text)
}
