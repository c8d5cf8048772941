/** Why devices are not let in. The text of each is `unknown-` and this; with `-hint` behind it, of what to do. */
import type { Schemas } from '../api/client'

export type Device = Schemas['UnknownDeviceItem']
export const REASONS = ['not_registered', 'wrong_secret', 'revoked'] as const satisfies readonly Device['reason'][]

/** The name of the text of a reason. */
export function reasonName(reason: Device['reason']): string {
  return `unknown-${reason.replaceAll('_', '-')}`
}

/** What people call a device: the id that its gateway knows it by, or the name of its tracker. */
export function nameOf(device: Device): string {
  return device.tracker_name ?? device.external_id ?? device.tracker_id ?? device.id
}
