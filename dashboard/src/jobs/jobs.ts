/** Imports, uploads and erasures, as the API has them. The text of a kind or a state is `job-` and its name. */
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

/** The content type of a file with a track; null: its name says none. */
export function typeOfTrack(name: string): (typeof TRACK_TYPES)[keyof typeof TRACK_TYPES] | null {
  const end = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(TRACK_TYPES, end) ? TRACK_TYPES[end as keyof typeof TRACK_TYPES] : null
}
