/** How pages are shown to the person: the language, and how speeds, lengths and times are written. The API
 *  keeps it; before somebody has signed in, the browser's last language holds. */
import { useSyncExternalStore } from 'react'

export const LANGUAGES = ['en', 'de'] as const
export const UNITS = ['metric', 'imperial'] as const
export const CLOCKS = ['24', '12'] as const
export type Language = (typeof LANGUAGES)[number]

export interface Display {
  language: Language
  units: (typeof UNITS)[number]
  /** null: the usual one of the language. */
  clock: (typeof CLOCKS)[number] | null
  /** By its IANA name; null: the browser's. */
  timezone: string | null
}

/** What is chosen for the person who is signed in; null: nothing. */
export type Chosen = { [Name in keyof Display]: Display[Name] | null }

const KEPT = 'language'
const KMH = 3.6
const MPH = 2.236936
const FEET = 3.28084
const METRES_OF_A_MILE = 1_609.344

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== ''
  } catch {
    return false // this browser does not know it
  }
}

/** The first that there is a catalogue of. */
export function languageOf(tags: readonly string[]): Language {
  const known = tags.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag as Language))
  return (known ?? 'en') as Language
}

/** How pages are shown to somebody: what nobody has chosen is the browser's. */
export function displayOf(chosen: Chosen, tags: readonly string[] = navigator.languages): Display {
  return {
    language: chosen.language ?? languageOf(tags),
    units: chosen.units ?? 'metric',
    clock: chosen.clock,
    timezone: chosen.timezone !== null && isZone(chosen.timezone) ? chosen.timezone : null,
  }
}

const NOTHING: Chosen = { language: null, units: null, clock: null, timezone: null }
const kept = globalThis.localStorage?.getItem(KEPT)
let display = displayOf(NOTHING, kept ? [kept, ...navigator.languages] : navigator.languages)
let unsaved: Partial<Display> = {}
const watchers = new Set<() => void>()

function change(next: Display): void {
  localStorage.setItem(KEPT, next.language)
  if (JSON.stringify(next) === JSON.stringify(display)) return
  display = next
  watchers.forEach((watcher) => watcher())
}

/** Show pages as the API has it of the person who is signed in. What is not saved yet holds. */
export function show(chosen: Chosen): void {
  change({ ...displayOf(chosen), ...unsaved })
}

/** Show pages as the person has just chosen. The choice is unsaved until it is `settled`. */
export function choose(changes: Partial<Display>): void {
  unsaved = { ...unsaved, ...changes }
  change({ ...display, ...changes })
}

/** Take what was chosen for saved; unless it is said what, all of it. */
export function settle(changes: Partial<Display> = unsaved): void {
  const isOther = ([name, value]: [string, unknown]) => changes[name as keyof Display] !== value
  unsaved = Object.fromEntries(Object.entries(unsaved).filter(isOther))
}

/** What was chosen and is not saved: before the sign-in, or a moment ago. */
export function unsavedChoices(): Partial<Display> {
  return unsaved
}

/** How the page is shown, of the moment. Components use `useDisplay`. */
export function currentDisplay(): Display {
  return display
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher)
  return () => watchers.delete(watcher)
}

export function useDisplay(): Display {
  return useSyncExternalStore(watch, currentDisplay)
}

export const BROWSER_ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone

/** The time zone of all times on the page. */
export function timeZone(): string {
  return display.timezone ?? BROWSER_ZONE
}

export function speedText(mps: number, units = display.units): string {
  return units === 'metric' ? `${Math.round(mps * KMH)} km/h` : `${Math.round(mps * MPH)} mph`
}

export function distanceText(metres: number, units = display.units): string {
  const long = units === 'metric' ? metres / 1_000 : metres / METRES_OF_A_MILE
  if (long < 0.1) return lengthText(metres, units)
  return `${long.toFixed(long < 100 ? 1 : 0)} ${units === 'metric' ? 'km' : 'mi'}`
}

export function lengthText(metres: number, units = display.units): string {
  return units === 'metric' ? `${Math.round(metres)} m` : `${Math.round(metres * FEET)} ft`
}
