/** The reports of the API and the columns that are shown of each. */
import { distanceText, speedText } from '../texts/display'
import type { Say } from '../texts/texts'
import { durationText, localeOf, timeText } from '../texts/times'

export const REPORTS = ['day', 'trips', 'stops', 'visits', 'distance', 'utilization', 'presence'] as const
export type Report = (typeof REPORTS)[number]
export type Row = Record<string, unknown>

/** What rows can be grouped by: the usual first. */
export const GROUPS: Partial<Record<Report, readonly string[]>> = {
  distance: ['thing,day', 'thing', 'thing,week', 'day', 'client', 'tag'],
  utilization: ['thing,day', 'thing', 'thing,week', 'day', 'client', 'tag'],
  presence: ['zone,client,asset', 'zone,asset,day', 'zone,day', 'client', 'client,week', 'asset', 'tag'],
}

const COLUMNS: Record<Report, readonly string[]> = {
  day: ['name', 'day', 'departed_at', 'arrived_at', 'distance_m', 'driving_s', 'stopped_s', 'idle_s', 'trips', 'stops', 'top_speed_mps'],
  trips: ['name', 'started_at', 'ended_at', 'start_zones', 'end_zones', 'distance_m', 'duration_s', 'top_speed_mps'],
  stops: ['name', 'started_at', 'ended_at', 'zones', 'duration_s', 'idle_s'],
  visits: ['asset_name', 'zone_name', 'client_names', 'entered_at', 'left_at', 'within_s'],
  distance: ['name', 'client_name', 'tag', 'day', 'week', 'distance_m', 'driving_s', 'trips'],
  utilization: ['name', 'client_name', 'tag', 'day', 'week', 'driving_s', 'idle_s', 'parked_s', 'unknown_s', 'driving_share'],
  presence: ['zone_name', 'client_name', 'asset_name', 'tag', 'day', 'week', 'presence_s', 'visits', 'assets'],
}

/** The columns of a report in which anything stands. */
export function columnsOf(report: Report, rows: readonly Row[]): string[] {
  return COLUMNS[report].filter((name) => rows.some((row) => row[name] !== null))
}

/** A value as the person reads it, by what its column is. */
export function cellText(say: Say, language: string, name: string, value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'number') {
    if (name.endsWith('_at')) return timeText(language, String(value))
    return name === 'day' || name === 'week' ? dayText(language, String(value)) : String(value)
  }
  if (name.endsWith('_m')) return distanceText(value)
  if (name.endsWith('_s')) return durationText(say, value)
  if (name.endsWith('_mps')) return speedText(value)
  if (name.endsWith('_share')) return new Intl.NumberFormat(localeOf(language), { style: 'percent', maximumFractionDigits: 1 }).format(value)
  return new Intl.NumberFormat(localeOf(language)).format(value)
}

/** A day without a time: it is the same one in every time zone. */
export function dayText(language: string, day: string): string {
  const style = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' } as const
  return new Intl.DateTimeFormat(localeOf(language), style).format(new Date(day))
}
