import type { Schemas } from '../api/client'
import { usePositions } from '../live/live'
import { useSay } from '../texts/texts'
import { Note } from '../ui/forms'
import { QrCode } from '../ui/qr-code'
import { httpAddress, owntracksLink, traccarClientLink } from './addresses'

/** What a device is given; of a new one also whether its first fix has come: that shows by itself. */
export function SetUp(props: { tracker: Schemas['NewTrackerItem']; isNew: boolean }) {
  const say = useSay()
  const { id, secret, asset_id } = props.tracker
  const hasFix = usePositions().some((item) => item.id === asset_id && item.position !== null)
  const topic = `trackers/${id}/fixes`
  const host = location.hostname
  const apps = [
    ['OwnTracks', owntracksLink(props.tracker, location)],
    ['Traccar Client', traccarClientLink(props.tracker, location)],
  ] as const
  const example =
    `mosquitto_pub -h ${host} -q 1 -u ${id} -P '${secret}' \\\n` +
    `  -t ${topic} \\\n  -m '{"time": "${new Date().toISOString()}", "lat": 47.05, "lon": 8.31}'`
  return (
    <Note kind={props.isNew && hasFix ? 'good' : 'plain'}>
      {props.tracker.external_id !== null && <p>{say('set-up-by-gateway')}</p>}
      <p>{say('set-up-hint')}</p>
      <dl className="facts">
        <dt>{say('user-name')}</dt>
        <dd><code>{id}</code></dd>
        <dt>{say('password-once')}</dt>
        <dd><code className="secret">{secret}</code></dd>
        <dt>{say('topic')}</dt>
        <dd><code>{topic}</code></dd>
        <dt>{say('address-by-http')}</dt>
        <dd><code>{httpAddress(props.tracker, location)}</code></dd>
      </dl>
      <div className="set-up">
        {apps.map(([app, link]) => (
          <figure key={app}>
            <QrCode label={say('set-up-code', { app })} text={link} />
            <figcaption className="small">
              {say('set-up-code-hint', { app })} <a href={link}>{say('set-up-this-phone', { app })}</a>
            </figcaption>
          </figure>
        ))}
      </div>
      <p>{say('set-up-example')}</p>
      <pre tabIndex={0}>{example}</pre>
      {props.isNew && <p><b>{say(hasFix ? 'first-fix-came' : 'waiting-for-fix')}</b></p>}
    </Note>
  )
}
