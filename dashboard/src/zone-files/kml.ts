/** KML: placemarks as rows, and zones as placemarks. Radius, width and kind stand in ExtendedData. */
import type { Feature, Position } from 'geojson'
import { positionsOf, rowsOf, type Found, type Geometry } from './found'
import { numberIn, settingsIn } from './geojson'
import { childrenOf, descendantsOf, textOf, tuplesOf } from './xml'

export function readKml(document: Document, title: string): Found[] {
  return descendantsOf(document, 'Placemark').flatMap((placemark, place) => {
    const data = dataOf(placemark)
    const more = {
      radius_m: numberIn(Number(data.radius_m)),
      width_m: numberIn(Number(data.width_m)),
      settings: settingsIn({ kind: data.kind }),
    }
    return rowsOf(textOf(placemark, 'name') || `${title} ${place + 1}`, joined(childrenOf(placemark).flatMap(shapesOf), data), more)
  })
}

/** Values of ExtendedData, by name. */
function dataOf(placemark: Element): Record<string, string> {
  const values = childrenOf(placemark, 'ExtendedData').flatMap((extended) => [
    ...childrenOf(extended, 'Data').map((each) => [each.getAttribute('name') ?? '', textOf(each, 'value')]),
    ...descendantsOf(extended, 'SimpleData').map((each) => [each.getAttribute('name') ?? '', each.textContent?.trim() ?? '']),
  ])
  return Object.fromEntries(values) as Record<string, string>
}

/** Polygons that our export wrote as one zone. */
function joined(shapes: (Geometry | null)[], data: Record<string, string>): (Geometry | null)[] {
  const parts = shapes.map((shape) => (shape?.type === 'Polygon' ? shape.coordinates : null))
  const areas = parts.filter((part): part is Position[][] => part !== null)
  const isOne = data.shape === 'MultiPolygon' && areas.length > 0 && areas.length === parts.length
  return isOne ? [{ type: 'MultiPolygon', coordinates: areas }] : shapes
}

function shapesOf(element: Element): (Geometry | null)[] {
  switch (element.localName) {
    case 'MultiGeometry':
      return childrenOf(element).flatMap(shapesOf)
    case 'Point': {
      const [at] = coordinatesOf(element) ?? []
      return [at === undefined ? null : { type: 'Point', coordinates: at }]
    }
    case 'LineString': {
      const line = coordinatesOf(element)
      return [line === null ? null : { type: 'LineString', coordinates: line }]
    }
    case 'LinearRing': {
      const ring = coordinatesOf(element)
      return [ring === null ? null : { type: 'Polygon', coordinates: [ring] }]
    }
    case 'Polygon': {
      const boundaries = ['outerBoundaryIs', 'innerBoundaryIs'].flatMap((name) => childrenOf(element, name))
      const rings = boundaries.flatMap((boundary) => childrenOf(boundary, 'LinearRing')).map(coordinatesOf)
      const whole = rings.filter((ring): ring is Position[] => ring !== null)
      return [whole.length > 0 && whole.length === rings.length ? { type: 'Polygon', coordinates: whole } : null]
    }
    default:
      return []
  }
}

function coordinatesOf(element: Element): Position[] | null {
  const tuples = tuplesOf(textOf(element, 'coordinates'))
  return tuples.length === 0 ? null : positionsOf(tuples)
}

/** Zones, as features of the API's GeoJSON, as a KML document. */
export function kmlOf(features: readonly Feature[]): string {
  const placemarks = features.map((feature) => {
    const properties = feature.properties ?? {}
    const names = ['kind', 'radius_m', 'width_m'].filter((name) => properties[name] !== null && properties[name] !== undefined)
    const data = names.map((name) => dataText(name, String(properties[name])))
    if (feature.geometry.type === 'MultiPolygon') data.push(dataText('shape', 'MultiPolygon'))
    return `<Placemark><name>${escaped(String(properties.name))}</name><ExtendedData>${data.join('')}</ExtendedData>${shapeText(feature.geometry as Geometry)}</Placemark>`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n${placemarks.join('\n')}\n</Document></kml>\n`
}

function dataText(name: string, value: string): string {
  return `<Data name="${name}"><value>${escaped(value)}</value></Data>`
}

function shapeText(geometry: Geometry): string {
  switch (geometry.type) {
    case 'Point':
      return `<Point>${coordinatesText([geometry.coordinates])}</Point>`
    case 'LineString':
      return `<LineString>${coordinatesText(geometry.coordinates)}</LineString>`
    case 'Polygon':
      return polygonText(geometry.coordinates)
    case 'MultiPolygon':
      return `<MultiGeometry>${geometry.coordinates.map(polygonText).join('')}</MultiGeometry>`
  }
}

function polygonText(rings: readonly Position[][]): string {
  const texts = rings.map((ring, place) => {
    const name = place === 0 ? 'outerBoundaryIs' : 'innerBoundaryIs'
    return `<${name}><LinearRing>${coordinatesText(ring)}</LinearRing></${name}>`
  })
  return `<Polygon>${texts.join('')}</Polygon>`
}

function coordinatesText(positions: readonly Position[]): string {
  return `<coordinates>${positions.map(([lon, lat]) => `${lon},${lat}`).join(' ')}</coordinates>`
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text of XML, which has no control characters. */
function escaped(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/[&<>"]/g, (each) => ENTITIES[each]!)
}
