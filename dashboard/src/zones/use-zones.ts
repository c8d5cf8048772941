import { useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import type { Zone } from './shapes'

const MOST_ZONES = 5_000 // of a map
const PAGE = 1_000

async function read(): Promise<Zone[]> {
  const zones: Zone[] = []
  let cursor: string | null = null
  do {
    const query = { limit: PAGE, total: 'none' as const, ...(cursor === null ? {} : { cursor }) }
    const answer: unknown = await data(api.GET('/v1/zones', { params: { query } }))
    const page = answer as Schemas['ZoneList'] // openapi-fetch takes a geometry's type apart
    zones.push(...page.data)
    cursor = page.next_cursor
  } while (cursor !== null && zones.length < MOST_ZONES)
  return zones
}

/** The zones as they are now, up to MOST_ZONES of them. */
export function useZones() {
  return useQuery({ queryKey: ['zones'], queryFn: read, staleTime: 60_000, refetchInterval: 60_000 })
}
