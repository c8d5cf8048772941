import { describe, expect, it } from 'vitest'
import { payloadText } from './payload'

describe('a message in quarantine', () => {
  it('is shown as the text that it is', () => {
    const bytes = new TextEncoder().encode('[{"name": "Müller <b>"}]')
    expect(payloadText(btoa(String.fromCharCode(...bytes)))).toBe('[{"name": "Müller <b>"}]')
  })

  it('is shown byte by byte where it is no text', () => {
    expect(payloadText(btoa('\x00\xff'.repeat(9)))).toBe(`${'00 ff '.repeat(8).trim()}\n00 ff`)
    expect(payloadText(btoa('\x01a'))).toBe('01 61')
  })
})
