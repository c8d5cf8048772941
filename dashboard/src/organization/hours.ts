/** The rules by which hours are counted, as a form has them: lengths in hours and minutes. */
import type { Schemas } from '../api/client'
import { numberOf, numberText } from './numbers'

export type Rules = Schemas['TimesheetRuleFields']
export type RulesChange = Schemas['TimesheetRulesChange']

export const PERIODS = ['week', 'two_weeks', 'month'] as const
/** How overtime is counted: by one of the presets of the API, or by thresholds of one's own. */
export const OVERTIME = ['none', 'us_flsa', 'us_california', 'ch_45', 'eu_48', 'own'] as const
/** Minutes between the marks that times are rounded to; '': they are not. */
export const STEPS = ['', '1', '5', '6', '10', '15'] as const
export const EACH = ['punch', 'day'] as const
export const MOST_BREAKS = 5
export const STANDARD_SHIFT_S = 57_600
export const HOUR = 1 / 3_600
export const MINUTE = 1 / 60

export interface Draft {
  period: (typeof PERIODS)[number]
  firstWeekday: string
  anchor: string
  cutsAtMidnight: boolean
  overtime: (typeof OVERTIME)[number]
  daily: string
  doubleDaily: string
  weekly: string
  seventhDay: boolean
  step: (typeof STEPS)[number]
  grace: string
  each: (typeof EACH)[number]
  longestShift: string
  closesAtMidnight: boolean
  shortestBreak: string
  breaks: readonly { after: string; length: string }[]
}

/** The draft of rules that are stored. */
export function draftOf(language: string, rules: Rules): Draft {
  const text = (value: number | null | undefined, factor: number) => numberText(language, value ?? null, factor)
  const { overtime, rounding } = rules
  return {
    period: rules.period,
    firstWeekday: String(rules.first_weekday),
    anchor: rules.anchor ?? '',
    cutsAtMidnight: rules.cuts_at_midnight,
    overtime: overtime === null ? rules.overtime_preset : 'own',
    daily: text(overtime?.daily_s, HOUR),
    doubleDaily: text(overtime?.double_daily_s, HOUR),
    weekly: text(overtime?.weekly_s, HOUR),
    seventhDay: overtime?.seventh_day ?? false,
    step: rounding === null ? '' : (String(rounding.step_s / 60) as Draft['step']),
    grace: text(rounding?.grace_s, MINUTE),
    each: rounding?.each ?? 'punch',
    longestShift: text(rules.longest_shift_s, HOUR),
    closesAtMidnight: rules.closes_at_midnight,
    shortestBreak: text(rules.shortest_break_s, MINUTE),
    breaks: rules.automatic_breaks.map(({ after_s, break_s }) => ({ after: text(after_s, HOUR), length: text(break_s, MINUTE) })),
  }
}

/** The rules of a draft as the API takes them, and the places where no number stands. */
export function rulesOf(language: string, draft: Draft): { rules: RulesChange; bad: string[] } {
  const bad: string[] = []
  /** A whole number of seconds; null where nothing is given. */
  function seconds(place: string, text: string, factor: number): number | null {
    const value = numberOf(language, text, factor)
    if (Number.isNaN(value)) bad.push(`timesheet_rules/${place}`)
    return value === null ? null : Math.round(value)
  }
  function needed(place: string, text: string, factor: number): number {
    const value = seconds(place, text, factor)
    if (value === null) bad.push(`timesheet_rules/${place}`)
    return value ?? 0
  }
  const own = draft.overtime === 'own'
  const rules: RulesChange = {
    period: draft.period,
    first_weekday: Number(draft.firstWeekday),
    anchor: draft.anchor === '' ? null : draft.anchor,
    cuts_at_midnight: draft.cutsAtMidnight,
    overtime_preset: draft.overtime === 'own' ? 'none' : draft.overtime,
    overtime: own
      ? {
          daily_s: seconds('overtime/daily_s', draft.daily, HOUR),
          double_daily_s: seconds('overtime/double_daily_s', draft.doubleDaily, HOUR),
          weekly_s: seconds('overtime/weekly_s', draft.weekly, HOUR),
          seventh_day: draft.seventhDay,
        }
      : null,
    rounding:
      draft.step === ''
        ? null
        : { step_s: Number(draft.step) * 60, grace_s: seconds('rounding/grace_s', draft.grace, MINUTE), each: draft.each },
    longest_shift_s: seconds('longest_shift_s', draft.longestShift, HOUR) ?? STANDARD_SHIFT_S,
    closes_at_midnight: draft.closesAtMidnight,
    shortest_break_s: seconds('shortest_break_s', draft.shortestBreak, MINUTE) ?? 0,
    automatic_breaks: draft.breaks.map(({ after, length }, number) => ({
      after_s: needed(`automatic_breaks/${number}/after_s`, after, HOUR),
      break_s: needed(`automatic_breaks/${number}/break_s`, length, MINUTE),
    })),
  }
  return { rules, bad }
}
