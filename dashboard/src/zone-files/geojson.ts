/** GeoJSON as rows: that of others, and our own, which has the settings of zones as properties. */
import type { Position } from 'geojson'
import { ALERTS, NUMBER_NAMES } from '../zones/facts'
import { ZONE_KINDS } from '../zones/shapes'
import { positionsOf, rowsOf, Unreadable, type Found, type Geometry, type Settings } from './found'

type Members = Record<string, unknown>
const NAMES = ['name', 'Name', 'NAME', 'title'] as const

export function readGeoJson(text: string, title: string): Found[] {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    throw new Unreadable('file-unreadable')
  }
  const features = featuresOf(membersOf(read))
  return features.flatMap((feature, place) => {
    const properties = membersOf(feature.properties)
    const name = NAMES.map((each) => properties[each]).find((each) => typeof each === 'string' && each.trim() !== '')
    const more = { radius_m: numberIn(properties.radius_m), width_m: numberIn(properties.width_m), settings: settingsIn(properties) }
    return rowsOf(typeof name === 'string' ? name : `${title} ${place + 1}`, shapesOf(membersOf(feature.geometry)), more)
  })
}

function featuresOf(read: Members): Members[] {
  if (read.type === 'FeatureCollection' && Array.isArray(read.features)) return read.features.map(membersOf)
  if (read.type === 'Feature') return [read]
  if (typeof read.type === 'string') return [{ geometry: read }]
  throw new Unreadable('file-unreadable')
}

function shapesOf(geometry: Members): (Geometry | null)[] {
  const { type, coordinates } = geometry
  const many = Array.isArray(coordinates) ? (coordinates as unknown[]) : []
  switch (type) {
    case 'Polygon':
      return [polygonOf(coordinates)]
    case 'MultiPolygon': {
      const parts = many.map((part) => polygonOf(part)?.coordinates)
      return [parts.length > 0 && parts.every((part) => part !== undefined) ? { type, coordinates: parts } : null]
    }
    case 'LineString':
      return [lineOf(coordinates)]
    case 'MultiLineString':
      return many.map(lineOf)
    case 'Point':
      return [pointOf(coordinates)]
    case 'MultiPoint':
      return many.map(pointOf)
    case 'GeometryCollection':
      return Array.isArray(geometry.geometries) ? geometry.geometries.flatMap((each) => shapesOf(membersOf(each))) : []
    default:
      return []
  }
}

function polygonOf(coordinates: unknown): Extract<Geometry, { type: 'Polygon' }> | null {
  const rings = Array.isArray(coordinates) ? coordinates.map(positionsOf) : []
  const whole = rings.filter((ring): ring is Position[] => ring !== null)
  return rings.length > 0 && whole.length === rings.length ? { type: 'Polygon', coordinates: whole } : null
}

function lineOf(coordinates: unknown): Geometry | null {
  const line = positionsOf(coordinates)
  return line === null ? null : { type: 'LineString', coordinates: line }
}

function pointOf(coordinates: unknown): Geometry | null {
  const [at] = positionsOf([coordinates]) ?? []
  return at === undefined ? null : { type: 'Point', coordinates: at }
}

/** The settings that our own export has. What others call the same is left out where it cannot be ours. */
export function settingsIn(properties: Members): Settings {
  const settings: Record<string, unknown> = {}
  const { kind, alert_on, schedule, assets, external_id } = properties
  if (typeof external_id === 'string' && external_id !== '') settings.external_id = external_id
  if (ZONE_KINDS.some((each) => each === kind)) settings.kind = kind
  if (Array.isArray(alert_on) && alert_on.every((each) => ALERTS.some((alert) => alert === each))) settings.alert_on = alert_on
  if (Array.isArray(membersOf(schedule).windows)) settings.schedule = schedule
  if (Array.isArray(membersOf(assets).ids) && Array.isArray(membersOf(assets).tags)) settings.assets = assets
  for (const name of NUMBER_NAMES) if (typeof properties[name] === 'number') settings[name] = properties[name]
  return settings as Settings
}

export function numberIn(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null
}

function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {}
}
