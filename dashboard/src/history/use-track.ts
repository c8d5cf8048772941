import { useQueries, useQuery, type UseQueryResult } from '@tanstack/react-query'
import { api, data } from '../api/client'
import type { Fix } from './track'

const PAGE = 1_000
/** Of one way: a day and a half with a fix every two seconds. */
export const MOST_FIXES = 60_000
const FIELDS = 'time,lat,lon,speed_mps'

interface Row {
  time: string
  lat: number
  lon: number
  speed_mps: number | null
}

async function read(asset_id: string, from: string, to: string, signal: AbortSignal): Promise<Fix[]> {
  const fixes: Fix[] = []
  let cursor: string | null = null
  do {
    const place = cursor === null ? {} : { cursor }
    const query = { asset_id, from, to, limit: PAGE, total: 'none' as const, fields: FIELDS, ...place }
    const answer: unknown = await data(api.GET('/v1/gps-events', { params: { query }, signal }))
    const page = answer as { data: Row[]; next_cursor: string | null }
    for (const { time, lat, lon, speed_mps } of page.data) fixes.push({ at: Date.parse(time), lat, lon, speed_mps })
    cursor = page.next_cursor
  } while (cursor !== null && fixes.length < MOST_FIXES)
  return fixes.reverse() // the newest come first
}

const NO_FIXES: readonly Fix[] = []

function together(tracks: UseQueryResult<Fix[]>[]) {
  return {
    ways: tracks.map((track) => track.data ?? NO_FIXES),
    error: tracks.find((track) => track.error)?.error ?? null,
    isFetching: tracks.some((track) => track.isFetching),
  }
}

/** The ways of assets in a time, each the oldest fix first: the newest MOST_FIXES of them. */
export function useTracks(assets: readonly string[], from: string, to: string) {
  return useQueries({
    queries: assets.map((asset) => ({
      queryKey: ['track', asset, from, to],
      queryFn: ({ signal }: { signal: AbortSignal }) => read(asset, from, to, signal),
      staleTime: Date.parse(to) > Date.now() ? 0 : Infinity, // more may come of it
    })),
    combine: together,
  })
}

/** The visits of an asset in a time, the newest first. */
export function useVisits(asset: string | null, from: string, to: string) {
  return useQuery({
    queryKey: ['visits', asset, from, to],
    enabled: asset !== null,
    queryFn: async () => {
      const query = { asset_id: asset!, from, to, limit: 200, total: 'none' as const }
      return data(api.GET('/v1/visits', { params: { query } }))
    },
  })
}
