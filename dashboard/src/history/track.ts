/** The way of an asset: fixes in the order of time, and what is drawn of them. */
import type { Feature, FeatureCollection, LineString, Position } from 'geojson'

/** A fix. at: milliseconds since 1970. */
export interface Fix {
  at: number
  lat: number
  lon: number
  speed_mps: number | null
}

/** Longer without a fix is a gap: nobody knows the way. */
export const GAP_MS = 5 * 60_000

/**
 * The way as lines: those between fixes that follow each other, and those over gaps. A line goes on
 * as long as its kind does.
 */
export function linesOf(fixes: readonly Fix[]): FeatureCollection<LineString, { gap: boolean }> {
  const features: Feature<LineString, { gap: boolean }>[] = []
  for (let place = 1; place < fixes.length; place++) {
    const [from, to] = [fixes[place - 1]!, fixes[place]!]
    const gap = to.at - from.at > GAP_MS
    const last = features.at(-1)
    if (last?.properties.gap === gap && !gap) last.geometry.coordinates.push([to.lon, to.lat])
    else {
      const coordinates: Position[] = [[from.lon, from.lat], [to.lon, to.lat]]
      features.push({ type: 'Feature', properties: { gap }, geometry: { type: 'LineString', coordinates } })
    }
  }
  return { type: 'FeatureCollection', features }
}

/** The number of fixes up to an instant. */
function countUpTo(fixes: readonly Fix[], at: number): number {
  let [low, high] = [0, fixes.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (fixes[middle]!.at <= at) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Where the asset was at an instant: on the straight line between two fixes, and in a gap at its
 * last fix. null before the first fix.
 */
export function placeAt(fixes: readonly Fix[], at: number): { fix: Fix; lon: number; lat: number } | null {
  const count = countUpTo(fixes, at)
  const fix = fixes[count - 1]
  if (fix === undefined) return null
  const next = fixes[count]
  if (next === undefined || next.at - fix.at > GAP_MS) return { fix, lon: fix.lon, lat: fix.lat }
  const part = (at - fix.at) / (next.at - fix.at)
  return {
    fix,
    lon: fix.lon + (next.lon - fix.lon) * part,
    lat: fix.lat + (next.lat - fix.lat) * part,
  }
}

/** The greatest speed in each of some equal parts of a time, in m/s; null where none is known. */
export function speedsOf(fixes: readonly Fix[], from: number, to: number, parts: number): (number | null)[] {
  const speeds = new Array<number | null>(parts).fill(null)
  for (const { at, speed_mps } of fixes) {
    const part = Math.min(parts - 1, Math.floor(((at - from) / (to - from)) * parts))
    if (speed_mps === null || part < 0 || at > to) continue
    speeds[part] = Math.max(speed_mps, speeds[part] ?? 0)
  }
  return speeds
}
