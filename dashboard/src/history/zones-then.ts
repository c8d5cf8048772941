/** Zones as they were: of each, the version that was in force at an instant. */
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api, data, type Schemas } from '../api/client'
import type { MapZone, Zone } from '../zones/shapes'
import { changesOf } from '../zones/use-zone-history'
import { MOST_ZONES } from '../zones/use-zones'

export type ZoneVersion = Schemas['ZoneVersionItem']
const PAGE = 1_000

async function read(from: string, to: string): Promise<ZoneVersion[]> {
  const versions: ZoneVersion[] = []
  let cursor: string | null = null
  do {
    const query = { from, to, limit: PAGE, total: 'none' as const, ...(cursor === null ? {} : { cursor }) }
    const answer: unknown = await data(api.GET('/v1/zones/versions', { params: { query } }))
    const page = answer as Schemas['ZoneVersionList'] // openapi-fetch takes a geometry's type apart
    versions.push(...page.data)
    cursor = page.next_cursor
  } while (cursor !== null && versions.length < MOST_ZONES)
  return versions
}

/** A version with its time, in milliseconds since 1970; to: Infinity where it is still in force. */
export interface Term {
  from: number
  to: number
  version: ZoneVersion
}

/** The versions of all zones that were in force at some time in a span, up to MOST_ZONES of them. */
export function useTerms(from: string, to: string) {
  return useQuery({
    queryKey: ['zones', 'then', from, to],
    queryFn: () => read(from, to),
    select: termsOf,
    staleTime: 60_000, // a new zone may begin in the past
  })
}

export function termsOf(versions: readonly ZoneVersion[]): Term[] {
  return versions.map((version) => ({
    from: Date.parse(version.valid_from),
    to: version.valid_to === null ? Infinity : Date.parse(version.valid_to),
    version,
  }))
}

/** The versions in force at an instant. */
export function inForce(terms: readonly Term[], at: number): ZoneVersion[] {
  return terms.filter((term) => term.from <= at && at < term.to).map(({ version }) => version)
}

const NO_TERMS: readonly Term[] = []

/** The versions in force at an instant: another array only where they are others. */
export function useInForce(terms: readonly Term[] = NO_TERMS, at: number): ZoneVersion[] {
  const edges = useMemo(() => terms.flatMap(({ from, to }) => [from, to]).sort((one, other) => one - other), [terms])
  const next = edges.findIndex((edge) => edge > at)
  // Between two edges nothing changes.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  return useMemo(() => inForce(terms, at), [terms, next])
}

export function drawn(versions: readonly ZoneVersion[]): MapZone[] {
  return versions.map((version) => ({ ...version, id: version.zone_id }))
}

/** A zone that is not today what it was. changes: names of texts of what is other; none: it is deleted. */
export interface Difference {
  id: string
  name: string
  changes: string[]
}

/** today: all zones, unless there are MOST_ZONES: then others may be there, too. */
export function differencesOf(versions: readonly ZoneVersion[], today: readonly Zone[]): Difference[] {
  const zones = new Map(today.map((zone) => [zone.id, zone]))
  return versions.flatMap((version) => {
    const { zone_id: id, name } = version
    const zone = zones.get(id)
    if (zone === undefined) return today.length < MOST_ZONES ? [{ id, name, changes: [] }] : []
    const changes = changesOf(version, zone)
    return changes.length > 0 ? [{ id, name, changes }] : []
  })
}
