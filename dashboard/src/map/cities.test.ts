import { describe, expect, it } from 'vitest'
import cities from 'virtual:cities'

const MOST_BYTES = 300_000

describe('cities', () => {
  it('are the larger ones, without parts of others', () => {
    const names = new Map(cities.map(([name, ...rest]) => [name, rest]))
    expect(names.get('Luzern')).toEqual([8.31, 47.05, 57])
    expect(names.has('Altdorf')).toBe(false)
    expect(names.has('Ottakring')).toBe(false) // a part of Vienna
    expect(cities.every(([, lon, lat, thousands]) => Math.abs(lon) <= 180 && Math.abs(lat) <= 90 && thousands >= 50)).toBe(true)
  })

  it('are few enough to be sent', () => {
    expect(cities.length).toBeGreaterThan(8_000)
    expect(JSON.stringify(cities).length).toBeLessThan(MOST_BYTES)
  })
})
