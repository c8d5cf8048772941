import { describe, expect, it } from 'vitest'
import { numberOf, numberText } from './numbers'
import { changesOf, PUNCH_SETTINGS, SPEED_SETTINGS, type Setting } from './settings'

const SHOWN: Record<string, string> = { 'max_speed_mps/vehicle': '90', 'max_speed_mps/person': '', punch_tolerance_m: '40' }

function changed(settings: readonly Setting[], given: Record<string, string>) {
  const shown = (setting: Setting) => SHOWN[setting.place] ?? ''
  return changesOf('en', settings, shown, (place) => given[place] ?? SHOWN[place] ?? '')
}

describe('settings', () => {
  it('change only what was changed, in the units of the API', () => {
    expect(changed(SPEED_SETTINGS, { 'max_speed_mps/person': '36' })).toEqual({
      body: { max_speed_mps: { person: 10 } },
      bad: [],
    })
    expect(changed(PUNCH_SETTINGS, { punch_tolerance_m: '', 'punch_rules/min_flight_s': '2,5' })).toEqual({
      body: { punch_tolerance_m: null, punch_rules: { min_flight_s: 150 } },
      bad: [],
    })
    expect(changed(SPEED_SETTINGS, {})).toEqual({ body: {}, bad: [] })
  })

  it('tell where no number stands', () => {
    expect(changed(PUNCH_SETTINGS, { punch_tolerance_m: 'far' }).bad).toEqual(['punch_tolerance_m'])
  })

  it('come back as they were written', () => {
    expect(numberText('de', 12.5, 3.6)).toBe('45')
    expect(numberText('de', 1.5)).toBe('1,5')
    expect(numberOf('en', '540', 3.6)).toBe(150)
    expect(numberOf('en', '30', 1 / 60)).toBe(1800)
    expect(numberOf('en', ' ')).toBe(null)
    expect([numberOf('en', '1,000'), numberOf('de', '1.000')]).toEqual([NaN, NaN])
    expect([numberOf('en', '0.125'), numberOf('de', '0,125'), numberOf('en', '2,5')]).toEqual([0.125, 0.125, 2.5])
  })
})
