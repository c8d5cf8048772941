/** What a form of a zone holds beside its shape, and how it becomes a body of the API. */
import type { Schemas } from '../api/client'
import type { Zone, ZoneKind } from './shapes'

export type NewZone = Schemas['NewZone']
export type Alert = NonNullable<Zone['alert_on']>[number]
export type Schedule = NonNullable<Zone['schedule']>
export type Hours = Schedule['windows'][number]
export type Day = Hours['days'][number]
export type Chosen = NonNullable<Zone['assets']>

export const ALERTS: readonly Alert[] = ['enter', 'exit', 'pass_through']
export const DAYS: readonly Day[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

/** The numbers of a zone. times: what is stored, of one that is shown. */
export const NUMBERS = {
  speed_limit_mps: { text: 'speed-limit', times: 1 / 3.6 },
  dwell_seconds: { text: 'dwell', times: 60 },
  close_after_silence_seconds: { text: 'silence', times: 60 },
  exit_buffer_m: { text: 'exit-buffer', times: 1 },
  enter_confirm_fixes: { text: 'enter-fixes', times: 1 },
  enter_confirm_seconds: { text: 'enter-seconds', times: 1 },
  exit_confirm_fixes: { text: 'exit-fixes', times: 1 },
  exit_confirm_seconds: { text: 'exit-seconds', times: 1 },
  max_gap_seconds: { text: 'max-gap', times: 1 },
  pass_min_m: { text: 'pass-min', times: 1 },
  coarse_accuracy_m: { text: 'coarse-accuracy', times: 1 },
  accuracy_clamp_m: { text: 'accuracy-clamp', times: 1 },
  punch_tolerance_m: { text: 'punch-tolerance', times: 1 },
} as const
export type NumberName = keyof typeof NUMBERS
export const NUMBER_NAMES = Object.keys(NUMBERS) as NumberName[]

export interface Facts {
  name: string
  kind: ZoneKind
  /** null: as the kind has it. */
  alert_on: Alert[] | null
  /** null: always. */
  schedule: Schedule | null
  /** null: all of them. */
  assets: Chosen | null
  /** As they are typed; '' where the default holds. */
  numbers: Record<NumberName, string>
}

/** A number of the API as it is shown; '' where there is none. */
export function numberText(name: NumberName, stored: number | null): string {
  return stored === null ? '' : String(Number((stored / NUMBERS[name].times).toFixed(3)))
}

/** The number that a text stands for: NaN where it is none. A comma is as good as a point. */
export function numberOf(text: string): number {
  return Number(text.trim().replace(',', '.'))
}

export function factsOf(zone: Zone | null): Facts {
  const texts = NUMBER_NAMES.map((name) => [name, numberText(name, zone?.[name] ?? null)])
  return {
    name: zone?.name ?? '',
    kind: zone?.kind ?? 'restricted',
    alert_on: zone?.alert_on ?? null,
    schedule: zone?.schedule ?? null,
    assets: zone?.assets ?? null,
    numbers: Object.fromEntries(texts) as Facts['numbers'],
  }
}

/** The facts as the API takes them. zone: what they were; a number that is shown as before is as before. */
export function bodyOf(facts: Facts, zone: Zone | null): Omit<NewZone, 'geometry' | 'radius_m' | 'width_m'> {
  const numbers = NUMBER_NAMES.map((name) => {
    const text = facts.numbers[name]
    const before = zone?.[name] ?? null
    if (text.trim() === '') return [name, null]
    return [name, text === numberText(name, before) ? before : numberOf(text) * NUMBERS[name].times]
  })
  const { name, kind, alert_on, schedule, assets } = facts
  return { name: name.trim(), kind, alert_on, schedule, assets, ...Object.fromEntries(numbers) }
}

/** Whether a text is a number, or nothing. */
export function isNumber(text: string): boolean {
  return Number.isFinite(numberOf(text))
}

export function areNumbers(facts: Facts): boolean {
  return NUMBER_NAMES.every((name) => isNumber(facts.numbers[name]))
}

/** Tags as they are typed, each once. */
export function tagsOf(text: string): string[] {
  return [...new Set(text.split(',').map((tag) => tag.trim()).filter((tag) => tag !== ''))]
}
