import { FluentResource } from '@fluent/bundle'
import { describe, expect, it } from 'vitest'
import german from './de.ftl?raw'
import english from './en.ftl?raw'
import { STATES } from '../live/positions'
import { ROLES } from '../session/session'
import { NUMBERS } from '../zones/facts'
import { ZONE_KINDS } from '../zones/shapes'
import { OVERTIME, EACH, PERIODS } from '../organization/hours'
import { FIX_SETTINGS, PUNCH_SETTINGS, SPEED_SETTINGS, textName, ZONE_SETTINGS } from '../organization/settings'
import { KINDS } from '../audit/audit-page'
import { CADENCES } from '../reports/schedule-form'
import { KINDS as GATEWAY_KINDS } from '../gateways/kinds'
import { REASONS as UNKNOWN_REASONS } from '../unknown-devices/reasons'
import { REASONS } from '../quarantine/reasons'
import { GROUPS } from '../shell/places'
import { sayer } from './texts'

const sources = import.meta.glob(['../**/*.{ts,tsx}', '!../**/*.test.ts'], { query: '?raw', import: 'default', eager: true })

function names(source: string): string[] {
  return [...new FluentResource(source).body].map((entry) => entry.id).sort()
}

describe('texts', () => {
  it('are the same in each language', () => {
    expect(names(german)).toEqual(names(english))
  })

  it('are all there that pages say by name', () => {
    const known = new Set(names(english))
    const said = Object.values(sources).flatMap((source) =>
      [...String(source).matchAll(/say\('([a-z0-9-]+)'/g)].map((found) => found[1]!),
    )
    expect(said.length).toBeGreaterThan(30)
    expect(said.filter((name) => !known.has(name))).toEqual([])
  })

  it('are all there that are put together', () => {
    const known = new Set(names(english))
    const families: Record<string, readonly string[]> = {
      'state-': STATES,
      'kind-': ZONE_KINDS,
      'role-': ROLES,
      'kind-of-': ['asset', 'zone', 'tracker', 'gateway', 'user'],
      'delivery-': ['pending', 'delivered', 'failed'],
      'endpoint-disabled-': ['user', 'failures', 'gone', 'backlog'],
      'breach-': ['enter', 'exit', 'dwell', 'overspeed'],
      'mark-': ['late', 'segment', 'timer', 'initial', 'schedule', 'dwell', 'silence', 'zone-changed', 'reassigned'],
      'user-': ['active', 'invited', 'service', 'deactivated'],
      'draw-': ['polygon', 'point', 'linestring', 'polygon-hint', 'point-hint', 'linestring-hint'],
      'live-': ['lost', 'ended'],
      'reason-': REASONS.map((each) => each.replaceAll('_', '-')).flatMap((each) => [each, `${each}-hint`]),
      'message-': ['released', 'counted', 'not-kept', 'came-back', 'kept'],
      'thing-': KINDS.map((each) => each.replaceAll('_', '-')),
      'did-': ['insert', 'update', 'delete'],
      'group-': GROUPS,
      'gateway-set-up-': GATEWAY_KINDS,
      'unknown-': UNKNOWN_REASONS.map((each) => each.replaceAll('_', '-')).flatMap((each) => [each, `${each}-hint`]),
      'rights-': ['all', 'read', 'chosen'],
      'scope-': ['read', 'write'],
      'overlap-': ['0', '3600', '86400', '604800', '2592000'],
      'plan-': ['starter', 'team', 'unlimited'],
      'policy-': ['flag', 'allow', 'block'],
      'period-': PERIODS.map((each) => each.replace('_', '-')),
      'overtime-': OVERTIME.map((each) => each.replace('_', '-')),
      'each-': EACH,
      'retention-': ['positions', 'events', 'audit'],
      '': [
        ...[...FIX_SETTINGS, ...SPEED_SETTINGS, ...ZONE_SETTINGS, ...PUNCH_SETTINGS].flatMap(({ place, isPlain }) =>
          isPlain ? [textName(place)] : [textName(place), `${textName(place)}-hint`],
        ),
        ...['row-without-shape', 'inside-now', 'nobody-inside', 'last-visits', 'no-visits'],
      ],
      'alert-': ['enter', 'exit', 'pass-through'],
      'told-': ['enter', 'exit', 'dwell', 'overspeed', 'schedule'],
      'cadence-': CADENCES.flatMap((each) => [each, `${each}-hint`]),
      'schedule-when-': CADENCES,
      'schedule-': ['you-and', 'people', 'add', 'switch-off', 'switch-on'],
      'shape-': ['polygon', 'multipolygon', 'point', 'linestring'],
      'file-': ['has-too-many', 'too-large', 'unreadable', 'of-another-kind'],
      ...Object.fromEntries(Object.values(NUMBERS).map(({ text }) => [text, ['', '-hint']])),
    }
    const wanted = Object.entries(families).flatMap(([family, all]) => all.map((each) => family + each))
    const titles = Object.values(sources).flatMap((source) =>
      [...String(source).matchAll(/(?:title|name): '([a-z-]+)'/g)].map((found) => found[1]!),
    )
    expect(titles.length).toBeGreaterThan(20)
    expect([...wanted, ...titles].filter((name) => !known.has(name))).toEqual([])
  })

  it('count in words of the language', () => {
    expect(sayer('de')('days-ago', { count: 1 })).toBe('vor 1 Tag')
    expect(sayer('de')('days-ago', { count: 3 })).toBe('vor 3 Tagen')
  })

  it('say a name that has no text', () => {
    expect(sayer('de')('no-such-text')).toBe('no-such-text')
  })
})
