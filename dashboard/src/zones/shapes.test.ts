import { describe, expect, it } from 'vitest'
import { circle, extentOf, moved, shapeOf, widthAtZoom0, type Outline } from './shapes'

const DEGREE_M = 111_195

/** The shape of a zone with coordinates of any kind. */
function outline(type: string, coordinates: unknown, radius_m: number | null = null, width_m: number | null = null): Outline {
  return { geometry: { type, coordinates } as Outline['geometry'], radius_m, width_m }
}

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

  it('draws a corridor as its line, as wide as it is on the ground', () => {
    const corridor = outline('LineString', [[8, 60], [8, 60.01]], null, 20)
    expect(shapeOf(corridor)).toEqual(corridor.geometry)
    const zoom = 17
    const metres_of_a_pixel = (40_075_016.686 * 0.5) / (512 * 2 ** zoom) // half of the equator's
    expect(widthAtZoom0(corridor) * 2 ** zoom).toBeCloseTo(20 / metres_of_a_pixel, 3)
    const lats = extentOf(corridor).map(([, lat]) => lat!)
    expect((Math.max(...lats) - 60.01) * DEGREE_M).toBeCloseTo(10, 1)
    expect((60 - Math.min(...lats)) * DEGREE_M).toBeCloseTo(10, 1)
  })

  it('leaves polygons as they are', () => {
    const square = outline('Polygon', [[[0, 0], [1, 0], [1, 1], [0, 0]]])
    expect(shapeOf(square)).toEqual(square.geometry)
    expect(widthAtZoom0(square)).toBe(0)
    expect(extentOf(square)).toHaveLength(4)
  })
})
