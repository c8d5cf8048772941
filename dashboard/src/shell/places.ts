/** The pages, in the order of the navigation. */
import { ROLES, type Role } from '../session/session'

/** The groups of the navigation. The text of each is `group-` and this. */
export const GROUPS = ['fleet', 'administration'] as const

export interface Place {
  /** The name of its text. */
  name: string
  place: string
  role: Role
  group: (typeof GROUPS)[number]
}

const PAGES: readonly Place[] = [
  { name: 'map', place: '/', role: 'viewer', group: 'fleet' },
  { name: 'history', place: '/history', role: 'viewer', group: 'fleet' },
  { name: 'reports', place: '/reports', role: 'viewer', group: 'fleet' },
  { name: 'report-schedules', place: '/report-schedules', role: 'dispatcher', group: 'fleet' },
  { name: 'zones', place: '/zones', role: 'viewer', group: 'fleet' },
  { name: 'alerts', place: '/alerts', role: 'viewer', group: 'fleet' },
  { name: 'breaches', place: '/breaches', role: 'viewer', group: 'fleet' },
  { name: 'trackers', place: '/trackers', role: 'viewer', group: 'fleet' },
  { name: 'gateways', place: '/gateways', role: 'viewer', group: 'fleet' },
  { name: 'unknown-devices', place: '/unknown-devices', role: 'dispatcher', group: 'fleet' },
  { name: 'imports', place: '/imports', role: 'viewer', group: 'fleet' },
  { name: 'organization', place: '/organization', role: 'dispatcher', group: 'administration' },
  { name: 'users', place: '/users', role: 'admin', group: 'administration' },
  { name: 'api-keys', place: '/keys', role: 'admin', group: 'administration' },
  { name: 'webhooks', place: '/webhooks', role: 'admin', group: 'administration' },
  { name: 'quarantine', place: '/quarantine', role: 'dispatcher', group: 'administration' },
  { name: 'audit', place: '/audit', role: 'admin', group: 'administration' },
]

/** The pages that somebody of this role is shown. */
export function pagesFor(role: Role): readonly Place[] {
  return PAGES.filter((page) => ROLES.indexOf(role) >= ROLES.indexOf(page.role))
}
