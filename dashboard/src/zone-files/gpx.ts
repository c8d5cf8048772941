/** GPX: waypoints as circles, routes and tracks as corridors. */
import { positionsOf, rowsOf, type Found } from './found'
import { childrenOf, descendantsOf, textOf } from './xml'

const NOTHING_MORE = { radius_m: null, width_m: null, settings: {} }

export function readGpx(document: Document, title: string): Found[] {
  const named = (element: Element, place: number) => textOf(element, 'name') || `${title} ${place + 1}`
  const points = descendantsOf(document, 'wpt').flatMap((point, place) => {
    const [at] = placesOf([point]) ?? []
    return rowsOf(named(point, place), [at === undefined ? null : { type: 'Point', coordinates: at }], NOTHING_MORE)
  })
  const ways = [...descendantsOf(document, 'rte'), ...descendantsOf(document, 'trk')].flatMap((way, place) => {
    const parts = way.localName === 'rte' ? [childrenOf(way, 'rtept')] : childrenOf(way, 'trkseg').map((part) => childrenOf(part, 'trkpt'))
    const lines = parts.filter((part) => part.length > 0).map(placesOf)
    const shapes = lines.map((line) => (line === null ? null : { type: 'LineString' as const, coordinates: line }))
    return rowsOf(named(way, place), shapes, NOTHING_MORE)
  })
  return [...points, ...ways]
}

function placesOf(elements: readonly Element[]) {
  return positionsOf(elements.map((each) => [each.getAttribute('lon') ?? NaN, each.getAttribute('lat') ?? NaN]))
}
