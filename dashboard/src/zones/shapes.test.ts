import { describe, expect, it } from 'vitest'
import { areaOf, circle, moved } from './shapes'

const DEGREE_M = 111_195

describe('shapes of zones', () => {
  it('moves by metres, also far in the north', () => {
    const [lon, lat] = moved([10, 60], 1000, 1000)
    expect((lat! - 60) * DEGREE_M).toBeCloseTo(1000, 0)
    expect((lon! - 10) * DEGREE_M * Math.cos(Math.PI / 3)).toBeCloseTo(1000, 0)
  })

  it('draws a circle that is closed, and as large as it says', () => {
    const ring = circle([8, 47], 500)
    expect(ring[0]).toEqual(ring.at(-1))
    for (const [lon, lat] of ring) {
      const east = (lon! - 8) * DEGREE_M * Math.cos((47 * Math.PI) / 180)
      expect(Math.hypot(east, (lat! - 47) * DEGREE_M)).toBeCloseTo(500, 0)
    }
  })

  it('makes a corridor of strips and round corners', () => {
    const line = { type: 'LineString', coordinates: [[8, 47], [8, 47.01], [8.01, 47.01]] }
    const area = areaOf({ geometry: line as never, radius_m: null, width_m: 20 })
    expect(area.type).toBe('MultiPolygon')
    expect(area.coordinates).toHaveLength(2 + 3)
    const [corner] = (area.coordinates as number[][][][])[0]![0]!
    expect(Math.abs(corner![0]! - 8) * DEGREE_M * Math.cos((47 * Math.PI) / 180)).toBeCloseTo(10, 1)
  })

  it('leaves polygons as they are', () => {
    const square = { type: 'Polygon', coordinates: [[[0, 0], [1, 0], [1, 1], [0, 0]]] }
    expect(areaOf({ geometry: square as never, radius_m: null, width_m: null })).toEqual(square)
  })
})
