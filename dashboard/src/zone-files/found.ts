/** What a file has that can become zones, whatever its format. */
import type { Position } from 'geojson'
import type { NewZone } from '../zones/facts'

export const MOST_BYTES = 5 * 1024 * 1024
export const MOST_ZONES = 1_000 // of one request
export const MOST_ROWS = 5_000 // of a file, as many as a map shows
const MOST_NAME = 200
const REQUEST_CHARACTERS = 4_000_000 // of 5 MiB that a request may have

export type Geometry =
  | { type: 'Polygon'; coordinates: Position[][] }
  | { type: 'MultiPolygon'; coordinates: Position[][][] }
  | { type: 'LineString'; coordinates: Position[] }
  | { type: 'Point'; coordinates: Position }

/** What a row has beside its shape, as our own exports have it. */
export type Settings = Omit<Partial<NewZone>, 'geometry' | 'name' | 'radius_m' | 'width_m'>

/** One row of a file. fault: the name of the text that says why it cannot be a zone. */
export interface Found {
  name: string
  geometry: Geometry | null
  /** As the file has it; null: asked for. */
  radius_m: number | null
  width_m: number | null
  settings: Settings
  fault: string | null
}

/** A file that cannot be read at all. text: the name of what is said. */
export class Unreadable extends Error {
  readonly text: string

  constructor(text: string) {
    super(text)
    this.text = text
  }
}

/** Rows of a thing of the file: several where it has several shapes, which are numbered. */
export function rowsOf(
  name: string,
  shapes: readonly (Geometry | null)[],
  more: Pick<Found, 'radius_m' | 'width_m' | 'settings'>,
): Found[] {
  if (shapes.length === 0) return [{ name: shortened(name), geometry: null, ...more, fault: 'row-without-shape' }]
  return shapes.map((geometry, place) => ({
    name: shapes.length === 1 ? shortened(name) : shortened(name, ` ${place + 1}`),
    geometry,
    ...more,
    fault: geometry === null ? 'row-without-shape' : null,
  }))
}

function shortened(name: string, end = ''): string {
  return name.trim().slice(0, MOST_NAME - end.length) + end
}

/** Positions of two numbers of degrees; null where one is none. Heights are left out. */
export function positionsOf(values: unknown): Position[] | null {
  if (!Array.isArray(values)) return null
  const positions = values.map((each) => (Array.isArray(each) ? [degreesOf(each[0], 180), degreesOf(each[1], 90)] : [NaN, NaN]))
  return positions.every((position) => position.every(Number.isFinite)) ? positions : null
}

/** A number of degrees, NaN for anything else: metres of a map, or nothing. */
function degreesOf(value: unknown, most: number): number {
  const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN
  return Math.abs(number) <= most ? number : NaN
}

/** What is given where the file says nothing. */
export interface Given {
  radius_m: number
  width_m: number
  kind: NewZone['kind']
}

/** A row as the API takes it; null where it has no shape. */
export function bodyOfRow(row: Found, given: Given): NewZone | null {
  if (row.geometry === null || row.fault !== null) return null
  const { type } = row.geometry
  return {
    kind: given.kind,
    ...row.settings,
    name: row.name,
    geometry: row.geometry,
    radius_m: type === 'Point' ? (row.radius_m ?? given.radius_m) : null,
    width_m: type === 'LineString' ? (row.width_m ?? given.width_m) : null,
  }
}

/** The rows in portions of a request each, in their order. */
export function portionsOf<Row>(rows: readonly Row[]): Row[][] {
  const portions: Row[][] = []
  let characters = 0
  for (const row of rows) {
    const length = JSON.stringify(row).length
    const last = portions.at(-1)
    if (last && last.length < MOST_ZONES && characters + length <= REQUEST_CHARACTERS) {
      last.push(row)
      characters += length
    } else {
      portions.push([row])
      characters = length
    }
  }
  return portions
}
