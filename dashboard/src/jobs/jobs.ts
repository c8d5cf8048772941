/** Imports, uploads, erasures and exports, as the API has them. The text of a kind or a state is `job-` and its name. */
import type { Schemas } from '../api/client'

export type Job = Schemas['JobItem']
export type Fault = Schemas['JobFault']
export type Check = Schemas['ImportCheck']

/** The kinds that are made of a file. */
export const KINDS = ['import_assets', 'import_trackers', 'upload_track'] as const satisfies readonly Job['kind'][]

/** The type of each file with a track, by the end of its name. */
const TRACK_TYPES = {
  gpx: 'application/gpx+xml',
  kml: 'application/vnd.google-earth.kml+xml',
  csv: 'text/csv',
  geojson: 'application/geo+json',
  json: 'application/geo+json',
  nmea: 'text/plain',
  log: 'text/plain',
  txt: 'text/plain',
} as const

export const TRACK_ENDS = Object.keys(TRACK_TYPES).map((end) => `.${end}`)

/** The name of the text of a kind or a state. */
export function textOf(name: Job['kind'] | Job['state']): string {
  return `job-${name.replaceAll('_', '-')}`
}

/** Whether a job waits or is worked through. */
export function isOpen({ state }: Pick<Job, 'state'>): boolean {
  return state === 'waiting' || state === 'running'
}

/** What is said of how far a job is. */
export function progressOf({ kind, total }: Pick<Job, 'kind' | 'total'>): string {
  if (kind === 'erase_positions') return 'job-erases'
  if (kind === 'export') return 'job-writes'
  return total === null ? 'job-reads' : 'job-progress'
}

/** The text of what a job has made. */
const MADE: Record<Job['kind'], string> = {
  import_assets: 'lines-written',
  import_trackers: 'lines-written',
  upload_track: 'points-written',
  erase_positions: 'positions-erased',
  export: 'rows-written',
}

export function madeBy({ kind, done, result }: Pick<Job, 'kind' | 'done' | 'result'>): [string, { count: number }] {
  return [MADE[kind], { count: kind === 'erase_positions' ? done : result.written }]
}

/** Where the file of an export is. */
export function fileOf(id: string): string {
  return `/v1/exports/${id}/file`
}

/** The content type of a file with a track; null: its name says none. */
export function typeOfTrack(name: string): (typeof TRACK_TYPES)[keyof typeof TRACK_TYPES] | null {
  const end = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(TRACK_TYPES, end) ? TRACK_TYPES[end as keyof typeof TRACK_TYPES] : null
}
