/** The pages, in the order of the navigation. */
import { ROLES, type Role } from '../session/session'

export interface Place {
  /** The name of its text. */
  name: string
  place: string
  role: Role
}

const PAGES: readonly Place[] = [
  { name: 'map', place: '/', role: 'viewer' },
  { name: 'history', place: '/history', role: 'viewer' },
  { name: 'zones', place: '/zones', role: 'viewer' },
  { name: 'breaches', place: '/breaches', role: 'viewer' },
  { name: 'trackers', place: '/trackers', role: 'viewer' },
  { name: 'organization', place: '/organization', role: 'dispatcher' },
  { name: 'quarantine', place: '/quarantine', role: 'dispatcher' },
  { name: 'audit', place: '/audit', role: 'admin' },
  { name: 'webhooks', place: '/webhooks', role: 'admin' },
  { name: 'users', place: '/users', role: 'admin' },
  { name: 'api-keys', place: '/keys', role: 'admin' },
]

/** The pages that somebody of this role is shown. */
export function pagesFor(role: Role): readonly Place[] {
  return PAGES.filter((page) => ROLES.indexOf(role) >= ROLES.indexOf(page.role))
}
