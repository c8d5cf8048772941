/** How speeds, lengths and times are shown: the person's choices, which the browser keeps. */

export const UNITS = ['metric', 'imperial'] as const
export const CLOCKS = ['usual', '24', '12'] as const

export interface Display {
  units: (typeof UNITS)[number]
  clock: (typeof CLOCKS)[number]
  /** By its IANA name; '' is the browser's. */
  zone: string
}

const KEPT = 'display'
const KMH = 3.6
const MPH = 2.236936
const FEET = 3.28084

function isZone(name: unknown): name is string {
  try {
    return typeof name === 'string' && new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== ''
  } catch {
    return false
  }
}

function read(): Display {
  let kept: Partial<Display> = {}
  try {
    kept = JSON.parse(globalThis.localStorage?.getItem(KEPT) ?? '{}') as Partial<Display>
  } catch {
    // what is there is not ours
  }
  return {
    units: UNITS.find((each) => each === kept.units) ?? 'metric',
    clock: CLOCKS.find((each) => each === kept.clock) ?? 'usual',
    zone: isZone(kept.zone) ? kept.zone : '',
  }
}

/** The choices as they were when the page was loaded. */
export const display = read()

export const BROWSER_ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone

/** The time zone of all times on the page. */
export const ZONE = display.zone || BROWSER_ZONE

/** Keep other choices. The page is read anew with them. */
export function keepDisplay(changes: Partial<Display>): void {
  localStorage.setItem(KEPT, JSON.stringify({ ...display, ...changes }))
  location.reload()
}

export function speedText(mps: number, units = display.units): string {
  return units === 'metric' ? `${Math.round(mps * KMH)} km/h` : `${Math.round(mps * MPH)} mph`
}

export function lengthText(metres: number, units = display.units): string {
  return units === 'metric' ? `${Math.round(metres)} m` : `${Math.round(metres * FEET)} ft`
}
