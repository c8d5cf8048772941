import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'
import type { Zone } from './shapes'

export const MOST_ZONES = 5_000 // of a map
const PAGE = 1_000

/** fields: of each zone; all of them unless they are named. */
async function read<Row>(fields?: string): Promise<Row[]> {
  const zones: Row[] = []
  let cursor: string | null = null
  do {
    const more = { ...(fields === undefined ? {} : { fields }), ...(cursor === null ? {} : { cursor }) }
    const query = { limit: PAGE, total: 'none' as const, ...more }
    const answer: unknown = await data(api.GET('/v1/zones', { params: { query } }))
    const page = answer as { data: Row[]; next_cursor: string | null } // openapi-fetch takes a geometry's type apart
    zones.push(...page.data)
    cursor = page.next_cursor
  } while (cursor !== null && zones.length < MOST_ZONES)
  return zones
}

/** The zones as they are now, up to MOST_ZONES of them. */
export function useZones() {
  return useQuery({ queryKey: ['zones'], queryFn: () => read<Zone>(), staleTime: 60_000, refetchInterval: 60_000 })
}

/** Their names. */
export function useZoneNames() {
  return useQuery({ queryKey: ['zones', 'names'], queryFn: () => read<{ id: string; name: string }>('id,name') })
}
