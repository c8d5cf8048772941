import { describe, expect, it } from 'vitest'
import { GAP_MS, linesOf, placeAt, speedsOf, type Fix } from './track'

const fix = (at: number, lon: number, speed_mps: number | null = null): Fix => ({ at, lat: 47, lon, speed_mps })

describe('the way of an asset', () => {
  it('is one line, with gaps of their own', () => {
    const fixes = [fix(0, 1), fix(1000, 2), fix(2000, 3), fix(2001 + GAP_MS, 4), fix(3000 + GAP_MS, 5)]
    const lines = linesOf(fixes).features
    expect(lines.map((line) => [line.properties.gap, line.geometry.coordinates.map(([lon]) => lon)])).toEqual([
      [false, [1, 2, 3]],
      [true, [3, 4]],
      [false, [4, 5]],
    ])
  })

  it('has a place at each instant', () => {
    const fixes = [fix(1000, 1), fix(2000, 2), fix(3000 + GAP_MS, 9)]
    expect(placeAt(fixes, 999)).toBeNull()
    expect(placeAt(fixes, 1000)!.lon).toBe(1)
    expect(placeAt(fixes, 1500)!.lon).toBe(1.5)
    expect(placeAt(fixes, 2500)!.lon).toBe(2) // in the gap it is where it was last
    expect(placeAt(fixes, 9e12)!.lon).toBe(9)
    expect(placeAt([], 0)).toBeNull()
  })

  it('has its greatest speeds', () => {
    const fixes = [fix(0, 1, 3), fix(10, 1, 7), fix(60, 1, null), fix(100, 1, 2)]
    expect(speedsOf(fixes, 0, 100, 4)).toEqual([7, null, null, 2])
  })
})
