import { describe, expect, it } from 'vitest'
import { draftOf, rulesOf, type Rules } from './hours'

const RULES: Rules = {
  period: 'two_weeks',
  first_weekday: 6,
  anchor: '2026-03-01',
  cuts_at_midnight: false,
  overtime_preset: 'none',
  overtime: { daily_s: 30_600, double_daily_s: null, weekly_s: 144_000, seventh_day: true },
  rounding: { step_s: 300, grace_s: 90, each: 'day' },
  longest_shift_s: 50_400,
  closes_at_midnight: true,
  shortest_break_s: 60,
  automatic_breaks: [{ after_s: 21_600, break_s: 1_800 }],
}

describe('rules of hours', () => {
  it('come back as they were', () => {
    expect(draftOf('de', RULES).daily).toBe('8,5')
    expect(rulesOf('de', draftOf('de', RULES))).toEqual({ rules: RULES, bad: [] })
    const odd: Rules = { ...RULES, longest_shift_s: 30_000, automatic_breaks: [{ after_s: 27_600, break_s: 1_000 }] }
    for (const language of ['de', 'en']) expect(rulesOf(language, draftOf(language, odd)).rules).toEqual(odd)
    const preset: Rules = { ...RULES, overtime: null, overtime_preset: 'ch_45', rounding: null, automatic_breaks: [] }
    expect(rulesOf('en', draftOf('en', preset))).toEqual({ rules: preset, bad: [] })
  })

  it('say where no number stands', () => {
    const draft = { ...draftOf('en', RULES), weekly: 'forty', breaks: [{ after: '6', length: '' }] }
    expect(rulesOf('en', draft).bad).toEqual(['timesheet_rules/overtime/weekly_s', 'timesheet_rules/automatic_breaks/0/break_s'])
  })
})
