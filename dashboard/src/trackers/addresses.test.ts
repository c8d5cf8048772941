import { expect, test } from 'vitest'
import { gatewayAddress, httpAddress, mqttServer, owntracksLink, traccarClientLink } from './addresses'

const TRACKER = { id: 'trk_1', secret: 's3cret+/=' }
const TLS_PAGE = { hostname: 'fleet.example.com', host: 'fleet.example.com:8443', protocol: 'https:' }
const PLAIN_PAGE = { hostname: '127.0.0.1', host: '127.0.0.1:8000', protocol: 'http:' }

function configured(link: string): Record<string, unknown> {
  const inline = new URLSearchParams(link.slice(link.indexOf('?'))).get('inline')
  return JSON.parse(atob(inline ?? '')) as Record<string, unknown>
}

test('the link signs the app in as the tracker', () => {
  const link = owntracksLink(TRACKER, TLS_PAGE)
  expect(link.startsWith('owntracks:///config?inline=')).toBe(true)
  expect(configured(link)).toMatchObject({
    _type: 'configuration',
    host: 'fleet.example.com',
    port: 8883,
    tls: true,
    username: TRACKER.id,
    password: TRACKER.secret,
    subTopic: 'owntracks/trk_1/phone/cmd',
  })
})

test('without TLS here there is none for the app', () => {
  const link = owntracksLink(TRACKER, PLAIN_PAGE)
  expect(configured(link)).toMatchObject({ port: 1883, tls: false })
})

test('the address by HTTP has the key, and the proxy of the page where there is one', () => {
  const tracker = { id: 'trk_1', secret: 'a-b_c' }
  expect(httpAddress(tracker, TLS_PAGE)).toBe('https://fleet.example.com:8443/v1/ingest/osmand/trk_1.a-b_c')
  expect(httpAddress(tracker, PLAIN_PAGE)).toBe('http://127.0.0.1:5055/v1/ingest/osmand/trk_1.a-b_c')
})

test('the link gives Traccar Client its server', () => {
  const link = new URL(traccarClientLink({ id: 'trk_1', secret: 'a-b_c' }, TLS_PAGE))
  expect(link.protocol).toBe('org.traccar.client:')
  expect(link.searchParams.get('url')).toBe('https://fleet.example.com:8443/v1/ingest/osmand/trk_1.a-b_c')
})

test('a gateway has an address of its own at the same server', () => {
  const gateway = { id: 'gtw_1', secret: 'a-b_c' }
  expect(gatewayAddress(gateway, TLS_PAGE)).toBe('https://fleet.example.com:8443/v1/ingest/gateways/gtw_1.a-b_c')
  expect(mqttServer(TLS_PAGE)).toBe('ssl://fleet.example.com:8883')
  expect(mqttServer(PLAIN_PAGE)).toBe('tcp://127.0.0.1:1883')
  expect(gatewayAddress(gateway, PLAIN_PAGE)).toBe('http://127.0.0.1:5055/v1/ingest/gateways/gtw_1.a-b_c')
})
