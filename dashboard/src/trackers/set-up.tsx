import type { Schemas } from '../api/client'
import { usePositions } from '../live/live'
import { useSay } from '../texts/texts'
import { Note } from '../ui/forms'

/** What a device is given, and whether its first fix has come: that shows by itself. */
export function SetUp(props: { tracker: Schemas['NewTrackerItem'] }) {
  const say = useSay()
  const { id, secret, asset_id } = props.tracker
  const hasFix = usePositions().some((item) => item.id === asset_id && item.position !== null)
  const topic = `trackers/${id}/fixes`
  const host = location.hostname
  const example =
    `mosquitto_pub -h ${host} -q 1 -u ${id} -P '${secret}' \\\n` +
    `  -t ${topic} \\\n  -m '{"time": "${new Date().toISOString()}", "lat": 47.05, "lon": 8.31}'`
  return (
    <Note kind={hasFix ? 'good' : 'plain'}>
      <p>{say('set-up-hint')}</p>
      <dl className="facts">
        <dt>{say('user-name')}</dt>
        <dd><code>{id}</code></dd>
        <dt>{say('password-once')}</dt>
        <dd><code className="secret">{secret}</code></dd>
        <dt>{say('topic')}</dt>
        <dd><code>{topic}</code></dd>
      </dl>
      <p>{say('set-up-example')}</p>
      <pre tabIndex={0}>{example}</pre>
      <p><b>{say(hasFix ? 'first-fix-came' : 'waiting-for-fix')}</b></p>
    </Note>
  )
}
