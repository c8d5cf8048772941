/** What is known of one zone beside itself: its versions and its visits. */
import { useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import { useHasRole } from '../session/session'
import { NUMBER_NAMES, NUMBERS } from './facts'

export type Version = Schemas['VersionItem']
export type Visit = Schemas['VisitItem']
const MOST_VERSIONS = 50
const MOST_VISITS = 50
const LOOK_AGAIN_MS = 15_000

/** The newest versions of a zone, the newest first. revision: has them read again when the zone has changed. */
export function useVersions(id: string, revision: number) {
  return useQuery({
    queryKey: ['zone-versions', id, revision],
    queryFn: async () => {
      const params = { path: { id }, query: { limit: MOST_VERSIONS, total: 'none' as const } }
      const answer: unknown = await data(api.GET('/v1/zones/{id}/versions', { params }))
      return (answer as Schemas['VersionList']).data // openapi-fetch takes a geometry's type apart
    },
  })
}

/** Who made each version, by its number; only admins see the audit. */
export function useAuthors(id: string, revision: number): ReadonlyMap<number, string> {
  const isAdmin = useHasRole('admin')
  const { data: found } = useQuery({
    queryKey: ['zone-authors', id, revision],
    enabled: isAdmin,
    queryFn: async () => {
      const audit = { resource_type: 'zone' as const, resource_id: id, limit: 200, total: 'none' as const }
      const [events, users] = await Promise.all([
        data(api.GET('/v1/audit-events', { params: { query: audit } })),
        data(api.GET('/v1/users', { params: { query: { limit: 1_000, total: 'none' } } })),
      ])
      const emails = new Map(users.data.map((user) => [user.id, user.email]))
      const made = events.data.filter(({ table, action }) => table === 'zone_versions' && action === 'insert')
      return new Map(
        made.map(({ changes, user_id }) => [Number(changes.version?.new), (user_id && emails.get(user_id)) ?? '']),
      )
    },
  })
  return found ?? new Map()
}

/** Visits of a zone, the last ones first: those that last, or those that have ended. */
export function useZoneVisits(zone_id: string, open: boolean) {
  return useQuery({
    queryKey: ['zone-visits', zone_id, open],
    queryFn: () =>
      data(api.GET('/v1/visits', { params: { query: { zone_id, open, limit: MOST_VISITS, total: 'none' } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
}

/** What every version has, and a zone of today. */
type Rules = Omit<Version, 'valid_to'>

const PARTS: readonly [text: string, fields: readonly (keyof Rules)[]][] = [
  ['name', ['name']],
  ['kind', ['kind']],
  ['shape', ['geometry', 'radius_m', 'width_m']],
  ['what-alerts', ['alert_on']],
  ['machines', ['assets']],
  ['hours', ['schedule']],
  ...NUMBER_NAMES.map((name): [string, (keyof Rules)[]] => [NUMBERS[name].text, [name]]),
]

/** The names of the texts of what is other than in the version before. */
export function changesOf(version: Rules, before: Rules): string[] {
  const differs = (field: keyof Rules) => JSON.stringify(version[field]) !== JSON.stringify(before[field])
  return PARTS.filter(([, fields]) => fields.some(differs)).map(([text]) => text)
}
