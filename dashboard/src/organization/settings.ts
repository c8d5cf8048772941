/** The settings of an organization that are numbers, and what was changed of them in a form. */
import type { Schemas } from '../api/client'
import { numberOf, numberText } from './numbers'

type Organization = Schemas['OrganizationItem']

export interface Setting {
  /** Where it stands in the organization. Its text is `set-` and this. */
  place: string
  unit: '' | 'm' | 's' | 'min' | 'km/h'
  /** What holds where nothing is set, in the unit of the API. */
  standard: number
  /** How many of the unit are one of the API's. */
  factor?: number
  /** Whether the heading above it says what it is for. */
  isPlain?: true
}

const KMH = 3.6
const MINUTES = 1 / 60

export const FIX_SETTINGS: readonly Setting[] = [
  { place: 'max_accuracy_m', unit: 'm', standard: 200 },
]
export const SPEED_SETTINGS: readonly Setting[] = [
  { place: 'max_speed_mps/vehicle', unit: 'km/h', standard: 150, factor: KMH, isPlain: true },
  { place: 'max_speed_mps/aircraft', unit: 'km/h', standard: 1000, factor: KMH, isPlain: true },
  { place: 'max_speed_mps/vessel', unit: 'km/h', standard: 50, factor: KMH, isPlain: true },
  { place: 'max_speed_mps/person', unit: 'km/h', standard: 45, factor: KMH, isPlain: true },
  { place: 'max_speed_mps/other', unit: 'km/h', standard: 150, factor: KMH, isPlain: true },
]
export const ZONE_SETTINGS: readonly Setting[] = [
  { place: 'exit_buffer_m', unit: 'm', standard: 0 },
  { place: 'accuracy_clamp_m', unit: 'm', standard: 200 },
  { place: 'coarse_accuracy_m', unit: 'm', standard: 30 },
  { place: 'enter_confirm_fixes', unit: '', standard: 1 },
  { place: 'exit_confirm_fixes', unit: '', standard: 2 },
  { place: 'enter_confirm_seconds', unit: 's', standard: 0 },
  { place: 'exit_confirm_seconds', unit: 's', standard: 0 },
  { place: 'max_gap_seconds', unit: 's', standard: 120 },
  { place: 'pass_min_m', unit: 'm', standard: 0 },
]
export const PUNCH_SETTINGS: readonly Setting[] = [
  { place: 'punch_tolerance_m', unit: 'm', standard: 25 },
  { place: 'punch_rules/max_fix_age_s', unit: 's', standard: 120 },
  { place: 'punch_rules/max_clock_error_s', unit: 's', standard: 120 },
  { place: 'punch_rules/max_speed_mps', unit: 'km/h', standard: 70, factor: KMH },
  { place: 'punch_rules/max_flight_mps', unit: 'km/h', standard: 300, factor: KMH },
  { place: 'punch_rules/min_flight_s', unit: 'min', standard: 1800, factor: MINUTES },
]

/** The name of a setting's text. */
export function textName(place: string): string {
  return `set-${place.replaceAll(/[_/]/g, '-')}`
}

/** What a field shows of a setting; '' where the default holds. */
export function settingText(language: string, setting: Setting, organization: Organization): string {
  const value = setting.place
    .split('/')
    .reduce<unknown>((part, name) => (part as Record<string, unknown> | null)?.[name], organization)
  return numberText(language, (value ?? null) as number | null, setting.factor)
}

/** What a form changes: the body of the change, and the places where no number stands. */
export function changesOf(
  language: string,
  settings: readonly Setting[],
  shown: (setting: Setting) => string,
  given: (place: string) => string,
): { body: Schemas['OrganizationChange']; bad: string[] } {
  const body: Record<string, unknown> = {}
  const bad: string[] = []
  for (const setting of settings) {
    const text = given(setting.place)
    if (text === shown(setting)) continue
    const value = numberOf(language, text, setting.factor)
    if (Number.isNaN(value)) bad.push(setting.place)
    const [name, part] = setting.place.split('/') as [string, string | undefined]
    body[name] = part === undefined ? value : { ...(body[name] as object), [part]: value }
  }
  return { body: body as Schemas['OrganizationChange'], bad }
}
