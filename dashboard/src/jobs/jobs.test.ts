import { describe, expect, it } from 'vitest'
import { isOpen, typeOfTrack } from './jobs'

describe('the content type of a track', () => {
  it.each([
    ['tour.gpx', 'application/gpx+xml'],
    ['TOUR.GPX', 'application/gpx+xml'],
    ['a.b.csv', 'text/csv'],
    ['day.geojson', 'application/geo+json'],
    ['day.json', 'application/geo+json'],
    ['receiver.nmea', 'text/plain'],
    ['receiver.log', 'text/plain'],
    ['day.kml', 'application/vnd.google-earth.kml+xml'],
    ['day.kmz', null],
    ['gpx', null],
    ['day.', null],
    ['day.constructor', null],
    ['', null],
  ])('of %j is %j', (name, type) => expect(typeOfTrack(name)).toBe(type))
})

describe('a job', () => {
  it.each(['waiting', 'running'] as const)('that is %s is open', (state) => expect(isOpen({ state })).toBe(true))
  it.each(['done', 'failed', 'cancelled'] as const)('that is %s is not', (state) => expect(isOpen({ state })).toBe(false))
})
