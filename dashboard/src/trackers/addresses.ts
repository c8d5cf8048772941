/** Where devices and gateways send: addresses by HTTP, and links that set up OwnTracks
 *  (https://owntracks.org/booklet/tech/json) and Traccar Client (lib/configuration_service.dart of
 *  https://github.com/traccar/traccar-client). The listener is at the host of this page, with TLS where the page has it. */

const PORT = 1883
const TLS_PORT = 8883
const HTTP_PORT = 5055 // without a proxy

type Credentials = { id: string; secret: string }
type Page = { hostname: string; host: string; protocol: string }

/** The address at which an app sends by HTTP, with the key. */
export function httpAddress(tracker: Credentials, page: Page): string {
  return ingestAddress('osmand', tracker, page)
}

/** The address to which a gateway forwards, with the key. */
export function gatewayAddress(gateway: Credentials, page: Page): string {
  return ingestAddress('gateways', gateway, page)
}

/** Host and port to which gateways connect by MQTT. */
export function mqttServer(page: Page): string {
  return page.protocol === 'https:' ? `ssl://${page.hostname}:${TLS_PORT}` : `tcp://${page.hostname}:${PORT}`
}

function ingestAddress(form: 'osmand' | 'gateways', { id, secret }: Credentials, page: Page): string {
  const server = page.protocol === 'https:' ? `https://${page.host}` : `http://${page.hostname}:${HTTP_PORT}`
  return `${server}/v1/ingest/${form}/${id}.${secret}`
}

/** A link that sets up Traccar Client, which may also scan its code. */
export function traccarClientLink(tracker: Credentials, page: Page): string {
  return `org.traccar.client://config?url=${encodeURIComponent(httpAddress(tracker, page))}`
}

/** A link that sets up OwnTracks; as short as can be, so that a camera reads its code. */
export function owntracksLink(tracker: Credentials, page: Page): string {
  const tls = page.protocol === 'https:'
  const configuration = {
    _type: 'configuration',
    mode: 0, // MQTT
    host: page.hostname,
    port: tls ? TLS_PORT : PORT,
    tls,
    auth: true,
    username: tracker.id,
    password: tracker.secret,
    deviceId: 'phone',
    sub: true,
    subTopic: `owntracks/${tracker.id}/phone/cmd`, // its commands, and not the positions of others
  }
  return `owntracks:///config?inline=${encodeURIComponent(btoa(JSON.stringify(configuration)))}`
}
