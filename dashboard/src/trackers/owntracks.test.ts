import { expect, test } from 'vitest'
import { owntracksLink } from './owntracks'

const TRACKER = { id: 'trk_1', secret: 's3cret+/=' }

function configured(link: string): Record<string, unknown> {
  const inline = new URLSearchParams(link.slice(link.indexOf('?'))).get('inline')
  return JSON.parse(atob(inline ?? '')) as Record<string, unknown>
}

test('the link signs the app in as the tracker', () => {
  const link = owntracksLink(TRACKER, { hostname: 'fleet.example.com', protocol: 'https:' })
  expect(link.startsWith('owntracks:///config?inline=')).toBe(true)
  expect(configured(link)).toMatchObject({
    _type: 'configuration',
    host: 'fleet.example.com',
    port: 8883,
    tls: true,
    username: TRACKER.id,
    password: TRACKER.secret,
  })
})

test('without TLS here there is none for the app', () => {
  const link = owntracksLink(TRACKER, { hostname: '127.0.0.1', protocol: 'http:' })
  expect(configured(link)).toMatchObject({ port: 1883, tls: false })
})
