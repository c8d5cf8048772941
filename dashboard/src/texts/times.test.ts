import { describe, expect, it } from 'vitest'
import { lengthText, speedText } from './display'
import { inputText, instantOfInput, localeOf } from './times'

it('takes the first kind of a language that is one', () => {
  expect(localeOf('en', ['de-CH', 'en-GB', 'en-US'])).toBe('en-GB')
  expect(localeOf('en', ['en-US@posix'])).toBe('en')
})

describe('times of an input', () => {
  it('are those of a zone, through the year and over changes of the clock', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Pacific/Chatham', 'Australia/Lord_Howe']
    for (const zone of zones) {
      for (let at = Date.UTC(2026, 0, 1); at < Date.UTC(2027, 0, 1); at += 31 * 3_600_000) {
        const text = inputText(at, zone)
        expect(inputText(instantOfInput(text, zone)!, zone)).toBe(text)
      }
    }
    expect(inputText(Date.UTC(2026, 6, 1, 12), 'Europe/Berlin')).toBe('2026-07-01T14:00')
    expect(instantOfInput('2026-01-01T00:30', 'America/New_York')).toBe(Date.UTC(2026, 0, 1, 5, 30))
    expect(instantOfInput('', 'UTC')).toBeNull()
    expect(instantOfInput('0002-03-04T10:00', 'Europe/Berlin')).toBeNull()
    expect(inputText(Date.UTC(1970, 0, 3), 'Europe/Berlin')).toBe('1970-01-03T01:00')
    expect(instantOfInput('soon', 'UTC')).toBeNull()
  })
})

describe('units', () => {
  it('are those that were chosen', () => {
    expect([speedText(10, 'metric'), speedText(10, 'imperial')]).toEqual(['36 km/h', '22 mph'])
    expect([lengthText(4.4, 'metric'), lengthText(100, 'imperial')]).toEqual(['4 m', '328 ft'])
  })
})
