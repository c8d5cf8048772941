import type { Say } from './texts'

const STEPS: readonly (readonly [name: string, ms: number])[] = [
  ['days-ago', 86_400_000],
  ['hours-ago', 3_600_000],
  ['minutes-ago', 60_000],
  ['seconds-ago', 1_000],
]

/** How long ago an instant was, in its largest unit. Both are milliseconds since 1970. */
export function ago(say: Say, at: number, now: number): string {
  const passed = Math.max(0, now - at)
  for (const [name, ms] of STEPS) {
    if (passed >= ms) return say(name, { count: Math.floor(passed / ms) })
  }
  return say('just-now')
}

/** A time of the API as the person's clock shows it, to the minute or to the second. */
export function timeText(language: string, time: string, to: 'minute' | 'second' = 'minute'): string {
  const style = { dateStyle: 'medium', timeStyle: to === 'minute' ? 'short' : 'medium' } as const
  return new Intl.DateTimeFormat(language, style).format(new Date(time))
}

/** How long something lasted, in its two largest units. */
export function durationText(say: Say, seconds: number): string {
  const minutes = Math.round(seconds / 60)
  if (minutes < 1) return say('lasted-seconds', { seconds: Math.round(seconds) })
  if (minutes < 60) return say('lasted-minutes', { minutes })
  return say('lasted-hours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 })
}
