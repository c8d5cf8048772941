import { currentDisplay, timeZone } from './display'
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

/** The person's own kind of a language: the browser's British English has days before months. */
export function localeOf(language: string, tags: readonly string[] = navigator.languages): string {
  return tags.find((tag) => tag.startsWith(language) && isTag(tag)) ?? language
}

/** Whether Intl knows the form of a tag: a browser without a language of its own may say en-US@posix. */
function isTag(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length > 0
  } catch {
    return false
  }
}

/** A time of the API as the person's clock shows it, to the minute or to the second. */
export function timeText(language: string, time: string, to: 'minute' | 'second' = 'minute'): string {
  const chosen = currentDisplay().clock
  const clock = chosen === null ? {} : { hourCycle: chosen === '12' ? ('h12' as const) : ('h23' as const) }
  const style = { dateStyle: 'medium', timeStyle: to === 'minute' ? 'short' : 'medium', timeZone: timeZone(), ...clock } as const
  return new Intl.DateTimeFormat(localeOf(language), style).format(new Date(time))
}

const FIRST_MS = Date.UTC(1970, 0, 2)

/** By how much the clocks of a zone are ahead of UTC at an instant, in milliseconds. */
function offsetAt(at: number, zone: string): number {
  const numeric = 'numeric' as const
  const style = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric }
  const parts = new Intl.DateTimeFormat('en', { ...style, hourCycle: 'h23', timeZone: zone }).formatToParts(at)
  const [year, month, day, hour, minute, second] = ['year', 'month', 'day', 'hour', 'minute', 'second'].map((name) =>
    Number(parts.find(({ type }) => type === name)?.value),
  )
  const local = new Date(Date.UTC(2000, month! - 1, day, hour, minute, second))
  local.setUTCFullYear(year!, month! - 1, day)
  return local.getTime() - Math.floor(at / 1_000) * 1_000
}

/** An instant as an input of a day and a time has it. */
export function inputText(at: number, zone = timeZone()): string {
  return new Date(at + offsetAt(at, zone)).toISOString().slice(0, 16)
}

/** The instant of such a text; null where there is none, or it is half typed. */
export function instantOfInput(text: string, zone = timeZone()): number | null {
  const local = Date.parse(`${text}Z`)
  if (Number.isNaN(local) || local < FIRST_MS) return null // as while a year is typed
  const near = local - offsetAt(local, zone)
  return local - offsetAt(near, zone)
}

/** How long something lasted, in its two largest units. */
export function durationText(say: Say, seconds: number): string {
  const minutes = Math.round(seconds / 60)
  if (minutes < 1) return say('lasted-seconds', { seconds: Math.round(seconds) })
  if (minutes < 60) return say('lasted-minutes', { minutes })
  return say('lasted-hours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 })
}
