import { describe, expect, it } from 'vitest'
import type { Feature, Point } from 'geojson'
import { live, type LivePosition } from '../live/positions'
import { featuresOf, FleetChanges } from './fleet-changes'

const NOW = Date.parse('2026-01-01T00:01:00Z')

function asset(number: number, round: number): LivePosition {
  const speed_mps = (number + round) % 2 ? 5 : 0
  const position = { tracker_id: 'trk', time: '2026-01-01T00:00:00Z', lat: number % 80, lon: round / 8, speed_mps, course_deg: round * 3, accuracy_m: null }
  return live({ id: `ast_${number}`, name: `Truck ${number}${round > 2 ? ' b' : ''}`, position: (number + round) % 7 === 0 ? null : position })
}

/** A source as MapLibre has it, by the id of each feature. */
class Source {
  features = new Map<string, Feature<Point>>()

  give(diff: NonNullable<ReturnType<FleetChanges['next']>>): void {
    for (const id of diff.remove ?? []) expect(this.features.delete(String(id))).toBe(true)
    for (const feature of diff.add ?? []) this.features.set(feature.properties!.id, structuredClone(feature) as Feature<Point>)
    for (const { id, newGeometry, addOrUpdateProperties } of diff.update ?? []) {
      const feature = this.features.get(String(id))!
      if (newGeometry) feature.geometry = newGeometry as Point
      for (const { key, value } of addOrUpdateProperties ?? []) feature.properties![key] = value
    }
  }
}

describe('changes of a fleet', () => {
  it('lead to what is to be drawn, whatever was before', () => {
    const [fleet, source] = [new FleetChanges(), new Source()]
    for (let round = 0; round < 20; round++) {
      const items = Array.from({ length: 60 }, (_, number) => asset(number + (round % 5), round))
      const without = round % 3 ? `ast_${round + 3}` : null
      const later = NOW + round * 30_000 // some fall silent
      source.give(fleet.next(items, without, later)!)
      const wanted = items.filter(({ id }) => id !== without).flatMap((item) => featuresOf(item, later).features)
      expect(source.features).toEqual(new Map(wanted.map((feature) => [feature.properties.id, feature])))
      expect(fleet.next(items, without, later)).toBeNull()
    }
  })

  it('leave out a heading that nobody sees', () => {
    const fleet = new FleetChanges()
    const turned = (course_deg: number, speed_mps: number) => {
      const item = asset(1, 0)
      return [{ ...item, position: { ...item.position!, course_deg, speed_mps } }]
    }
    fleet.next(turned(90, 5), null, NOW)
    expect(fleet.next(turned(91, 5), null, NOW)).toBeNull()
    expect(fleet.next(turned(96, 5), null, NOW)!.update![0]!.addOrUpdateProperties).toEqual([{ key: 'heading', value: 95 }])
    fleet.next(turned(96, 0), null, NOW)
    expect(fleet.next(turned(180, 0), null, NOW)).toBeNull()
  })
})
