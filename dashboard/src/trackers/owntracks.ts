/** The set-up of OwnTracks, an app that makes a tracker of a phone: https://owntracks.org/booklet/tech/json. */

const PORT = 1883
const TLS_PORT = 8883

/** A link that sets the app up; as short as can be, so that a camera reads its code. page: where this page is; devices find the listener at the same host, with
 *  TLS where the page has it. */
export function owntracksLink(tracker: { id: string; secret: string }, page: { hostname: string; protocol: string }): string {
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
    sub: false, // it would ask for the positions of others
  }
  return `owntracks:///config?inline=${encodeURIComponent(btoa(JSON.stringify(configuration)))}`
}
