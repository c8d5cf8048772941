import { DOMParser as Parser } from '@xmldom/xmldom'
import type { Feature } from 'geojson'
import { describe, expect, it } from 'vitest'
import { bodyOfRow, MOST_ZONES, portionsOf, Unreadable, type Geometry } from './found'
import { kmlOf } from './kml'
import { readRows } from './read-file'
import type { Parse } from './xml'

const parse: Parse = (text) => new Parser().parseFromString(text, 'application/xml') as unknown as Document
const GIVEN = { radius_m: 50, width_m: 12, kind: 'yard' as const }

/** Numbers that are the same in each run, in [0, 1). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A zone as the API's GeoJSON has it, of any kind of shape, with a name of any letters. */
function zone(next: () => number): Feature {
  const place = () => [next() * 360 - 180, next() * 180 - 90]
  const ring = () => {
    const [first, ...others] = Array.from({ length: 3 + Math.floor(next() * 5) }, place)
    return [first!, ...others, first!]
  }
  const polygon = () => Array.from({ length: 1 + Math.floor(next() * 3) }, ring)
  const shapes: (() => Geometry)[] = [
    () => ({ type: 'Polygon', coordinates: polygon() }),
    () => ({ type: 'MultiPolygon', coordinates: Array.from({ length: 1 + Math.floor(next() * 3) }, polygon) }),
    () => ({ type: 'LineString', coordinates: Array.from({ length: 2 + Math.floor(next() * 5) }, place) }),
    () => ({ type: 'Point', coordinates: place() }),
  ]
  const geometry = shapes[Math.floor(next() * shapes.length)]!()
  const letters = Array.from({ length: 1 + Math.floor(next() * 20) }, () => '<>&"\'é漢 مa😀]'.charAt(Math.floor(next() * 13)))
  const properties = {
    name: `x${letters.join('').replace(/[\uD800-\uDFFF]/g, '')}y`.replace(/\s+/g, ' '),
    kind: ['restricted', 'allowed', 'jobsite'][Math.floor(next() * 3)],
    radius_m: geometry.type === 'Point' ? 1 + next() * 1_000 : null,
    width_m: geometry.type === 'LineString' ? 1 + next() * 100 : null,
  }
  return { type: 'Feature', id: 'zon_x', geometry, properties }
}

describe('files of zones', () => {
  it.each([
    ['GeoJSON', (features: Feature[]) => JSON.stringify({ type: 'FeatureCollection', features })],
    ['KML', kmlOf],
  ])('have the same shapes when an export is read: %s', (_, exported) => {
    const next = random(20_261_130)
    const features = Array.from({ length: 300 }, () => zone(next))
    const rows = readRows(exported(features), 'file', parse)
    const bodies = rows.map((row) => bodyOfRow(row, GIVEN))
    expect(bodies).toEqual(
      features.map(({ geometry, properties }) => ({
        geometry,
        name: properties!.name,
        kind: properties!.kind,
        radius_m: properties!.radius_m,
        width_m: properties!.width_m,
      })),
    )
  })

  it('keep the settings of zones in GeoJSON, and take nothing that is not ours', () => {
    const schedule = { timezone: 'Europe/Zurich', windows: [{ days: ['mon'], from: '07:00', to: '18:00' }] }
    const properties = { name: 'Pit', kind: 'park', alert_on: ['enter'], schedule, dwell_seconds: 60, speed_limit_mps: 'fast' }
    const feature = { type: 'Feature', geometry: { type: 'Point', coordinates: [8, 47, 400] }, properties }
    const [row] = readRows(JSON.stringify(feature), 'file', parse)
    const body = bodyOfRow(row!, GIVEN)
    expect(body).toEqual({
      ...{ name: 'Pit', kind: 'yard', alert_on: ['enter'], schedule, dwell_seconds: 60 },
      ...{ geometry: { type: 'Point', coordinates: [8, 47] }, radius_m: 50, width_m: null },
    })
  })

  it('are KML of others, with folders, several shapes and heights', () => {
    const text = `<?xml version="1.0"?>
      <kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder>
        <Placemark><name> Gravel &amp; sand </name><Polygon>
          <outerBoundaryIs><LinearRing><coordinates>8,47,0 8.1,47,0 8.1,47.1,0 8,47,0</coordinates></LinearRing></outerBoundaryIs>
        </Polygon></Placemark>
        <Placemark><name>Two</name><MultiGeometry>
          <Point><coordinates>8,47</coordinates></Point>
          <LineString><coordinates>8,47
            8.2,47.2</coordinates></LineString>
        </MultiGeometry></Placemark>
        <Placemark><Point><coordinates>here</coordinates></Point></Placemark>
        <Placemark><name>A picture</name></Placemark>
      </Folder></Document></kml>`
    const rows = readRows(text, 'sites', parse)
    expect(rows.map(({ name, geometry, fault }) => [name, geometry?.type ?? null, fault])).toEqual([
      ['Gravel & sand', 'Polygon', null],
      ['Two 1', 'Point', null],
      ['Two 2', 'LineString', null],
      ['sites 3', null, 'row-without-shape'],
      ['A picture', null, 'row-without-shape'],
    ])
    expect(rows[2]!.geometry!.coordinates).toEqual([[8, 47], [8.2, 47.2]])
    expect(rows.slice(1, 4).map((row) => bodyOfRow(row, GIVEN)?.radius_m ?? null)).toEqual([50, null, null])
  })

  it('are GPX: circles of waypoints, corridors of routes and tracks', () => {
    const points = (name: string) => `<${name} lat="47" lon="8"/><${name} lat="47.1" lon="8.1"/>`
    const text = `<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">
      <wpt lat="47.5" lon="8.5"><name>Gate</name></wpt>
      <rte><name>Tour</name>${points('rtept')}</rte>
      <trk><name>Way</name><trkseg>${points('trkpt')}</trkseg><trkseg>${points('trkpt')}</trkseg></trk>
      <wpt lat="x" lon="8.5"/>
    </gpx>`
    const rows = readRows(text, 'file', parse)
    expect(rows.map(({ name, fault }) => [name, fault])).toEqual([
      ['Gate', null],
      ['file 2', 'row-without-shape'],
      ['Tour', null],
      ['Way 1', null],
      ['Way 2', null],
    ])
    expect(rows[0]!.geometry).toEqual({ type: 'Point', coordinates: [8.5, 47.5] })
    expect(bodyOfRow(rows[4]!, GIVEN)).toMatchObject({ kind: 'yard', width_m: 12, radius_m: null })
  })

  it('are refused where they are something else', () => {
    for (const text of ['', 'name;lat;lon', '{"type": 3}', '{"a"', '<svg xmlns="http://www.w3.org/2000/svg"/>']) {
      expect(() => readRows(text, 'file', parse)).toThrow(Unreadable)
    }
  })

  it('are sent in portions that the API takes', () => {
    const sizes = (rows: unknown[]) => portionsOf(rows).map((portion) => portion.length)
    expect(sizes([])).toEqual([])
    expect(sizes(Array.from({ length: 2 * MOST_ZONES + 1 }, () => 1))).toEqual([MOST_ZONES, MOST_ZONES, 1])
    expect(sizes(['x'.repeat(3_000_000), 'x'.repeat(3_000_000), 'x'])).toEqual([1, 2])
  })
})
