import { describe, expect, it } from 'vitest'
import type { Zone } from '../zones/shapes'
import { differencesOf, inForce, termsOf, type ZoneVersion } from './zones-then'

function version(zone_id: string, number: number, valid_from: string, valid_to: string | null, more: object = {}): ZoneVersion {
  return { zone_id, version: number, name: `${zone_id} ${number}`, kind: 'yard', geometry: {}, valid_from, valid_to, ...more } as unknown as ZoneVersion
}

const VERSIONS = [
  version('a', 1, '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
  version('a', 2, '2026-01-02T00:00:00Z', null),
  version('b', 1, '2026-01-01T12:00:00Z', '2026-01-03T00:00:00Z'),
  version('b', 2, '2026-01-05T00:00:00Z', null), // it was restored
]

describe('zones as they were', () => {
  it.each([
    ['2025-12-31T23:59:59.999Z', []],
    ['2026-01-01T00:00:00Z', ['a 1']],
    ['2026-01-01T12:00:00Z', ['a 1', 'b 1']],
    ['2026-01-01T23:59:59.999Z', ['a 1', 'b 1']],
    ['2026-01-02T00:00:00Z', ['a 2', 'b 1']],
    ['2026-01-03T00:00:00Z', ['a 2']],
    ['2026-01-05T00:00:00Z', ['a 2', 'b 2']],
  ])('at %s are %j', (at, names) => {
    expect(inForce(termsOf(VERSIONS), Date.parse(at)).map(({ name }) => name)).toEqual(names)
  })

  it('differ from those of today, or are deleted', () => {
    const today = (name: string) => ({ ...version('a', 2, '', null), id: 'a', name }) as unknown as Zone
    expect(differencesOf([VERSIONS[1]!], [today('a 2')])).toEqual([])
    expect(differencesOf([VERSIONS[1]!, VERSIONS[2]!], [today('other')])).toEqual([
      { id: 'a', name: 'a 2', changes: ['name'] },
      { id: 'b', name: 'b 1', changes: [] },
    ])
  })
})
