import { describe, expect, it, vi } from 'vitest'
import { live, PositionStore, stateOf, type StatedPosition } from './positions'

vi.stubGlobal('requestAnimationFrame', (call: () => void) => call())

function item(name: string, time: string, speed_mps: number | null = null): StatedPosition {
  const position = { tracker_id: 'trk', time, lat: 47, lon: 8, speed_mps, course_deg: null, accuracy_m: null }
  return { id: name, name, position } as unknown as StatedPosition
}

describe('positions', () => {
  it('never go back in time', () => {
    const store = new PositionStore()
    store.put([item('a', '2026-01-01T00:00:02Z', 5)])
    store.put([item('a', '2026-01-01T00:00:01Z', 9)])
    expect(store.all()[0]!.position!.speed_mps).toBe(5)
    store.put([item('a', '2026-01-01T00:00:02.500Z', 6)])
    expect(store.all()[0]!.position!.speed_mps).toBe(6)
  })

  it('go where an asset is deleted, and stay where it was only read', () => {
    const store = new PositionStore()
    store.put([item('a', '2026-01-01T00:00:01Z'), item('b', '2026-01-01T00:00:01Z')])
    store.put([{ id: 'a', name: 'a', position: null }, { id: 'c', name: 'c', position: null }])
    expect(store.names().map(({ id }) => id)).toEqual(['b', 'c'])
    store.replace([{ id: 'b', name: 'new name', position: null }, { id: 'd', name: 'd', position: null }])
    expect(store.all().map(({ name, position }) => [name, position === null])).toEqual([
      ['d', true],
      ['new name', false],
    ])
    store.clear()
    expect(store.all()).toEqual([])
  })

  it('are sorted as people count', () => {
    const store = new PositionStore()
    store.put(['Truck 10', 'Truck 9', 'Crane'].map((name) => item(name, '2026-01-01T00:00:00Z')))
    expect(store.all().map(({ name }) => name)).toEqual(['Crane', 'Truck 9', 'Truck 10'])
  })

  it('have a state by speed and age', () => {
    const now = Date.parse('2026-01-01T00:05:00Z')
    expect(stateOf(live(item('a', '2026-01-01T00:04:00Z', 3)), now)).toBe('moving')
    expect(stateOf(live(item('a', '2026-01-01T00:04:00Z', 0.2)), now)).toBe('standing')
    expect(stateOf(live(item('a', '2025-12-31T23:59:00Z', 3)), now)).toBe('silent')
    expect(stateOf(live({ id: 'a', name: 'a', position: null }), now)).toBe('unknown')
  })
})
