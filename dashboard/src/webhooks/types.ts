/** Which types of events an endpoint gets: `*`, a group such as `asset.*`, or a type. */

export const EVERYTHING = '*'

/** The group of a type: `asset.*` of `asset.overspeed`. */
export function groupOf(type: string): string {
  return `${type.split('.')[0]}.*`
}

/** The patterns without those that another one has in it. */
export function simplest(patterns: ReadonlySet<string>): string[] {
  if (patterns.has(EVERYTHING)) return [EVERYTHING]
  return [...patterns].filter((each) => each === groupOf(each) || !patterns.has(groupOf(each))).sort()
}

/** The name of the text that says what happened. */
export function typeText(type: string): string {
  return `event-${type.replaceAll(/[._]/g, '-')}`
}
