/** The reasons for which messages are rejected. The text of each is `reason-` and this. */
export const REASONS = [
  'undecodable',
  'no_position',
  'bad_coordinate',
  'future',
  'ancient',
  'unknown_tracker',
  'revoked_tracker',
  'rate',
  'oversize',
  'refused_by_database',
  'wrong_topic',
  'conflict',
  'unknown_employee',
] as const

/** The name of the text of a reason; with `-hint` behind it, of what to do. */
export function reasonName(reason: string): string {
  return `reason-${reason.replaceAll('_', '-')}`
}
