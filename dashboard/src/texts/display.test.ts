import { beforeEach, describe, expect, it, vi } from 'vitest'
import { choose, currentDisplay, displayOf, languageOf, settle, show, timeZone, unsavedChoices } from './display'

const nothing = { language: null, units: null, clock: null, timezone: null } as const

beforeEach(() => vi.stubGlobal('localStorage', { setItem: () => undefined }))

describe('how pages are shown', () => {
  it('is as the browser has it where nobody has chosen', () => {
    expect(displayOf(nothing, ['de-AT', 'en'])).toEqual({ language: 'de', units: 'metric', clock: null, timezone: null })
    expect(displayOf({ ...nothing, language: 'en' }, ['de-AT']).language).toBe('en')
    expect([languageOf(['fr-FR', 'de-CH', 'en']), languageOf(['fr']), languageOf([])]).toEqual(['de', 'en', 'en'])
  })

  it('is in the time zone of the browser where it does not know the chosen one', () => {
    expect(displayOf({ ...nothing, timezone: 'Asia/Tokyo' }, []).timezone).toBe('Asia/Tokyo')
    expect(displayOf({ ...nothing, timezone: 'Middle/Earth' }, []).timezone).toBeNull()
  })

  it('is as it was chosen last until that is saved, whatever is read meanwhile', () => {
    show({ ...nothing, language: 'de' })
    choose({ timezone: 'Asia/Tokyo' })
    choose({ timezone: 'Asia/Dubai', units: 'imperial' })
    show({ ...nothing, language: 'de' })
    expect(currentDisplay()).toEqual({ language: 'de', units: 'imperial', clock: null, timezone: 'Asia/Dubai' })
    expect(timeZone()).toBe('Asia/Dubai')
    settle({ timezone: 'Asia/Tokyo' }) // an earlier one
    expect(unsavedChoices()).toEqual({ timezone: 'Asia/Dubai', units: 'imperial' })
    settle({ timezone: 'Asia/Dubai', units: 'imperial' })
    show({ ...nothing, language: 'de' })
    expect(currentDisplay()).toEqual({ language: 'de', units: 'metric', clock: null, timezone: null })
  })
})
