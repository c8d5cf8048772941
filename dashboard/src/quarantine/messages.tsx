import { useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { payloadText } from './payload'
import { reasonName } from './reasons'

export type Message = Schemas['QuarantineItem']

/** Whether a message can be handed to ingest again. */
export function isReleasable(message: Message): boolean {
  return message.payload_kept && message.released_at === null
}

/** Rejected messages as a table; the one that is chosen is shown whole below its row. */
export function Messages(props: {
  rows: readonly Message[] | undefined
  names: ReadonlyMap<string, string>
  empty: string
  chosen: string | null
  onChoose: (id: string | null) => void
  picked: ReadonlySet<string>
  onPick: ((id: string) => void) | null
  onRelease: ((id: string) => void) | null
  onDrop: ((id: string) => void) | null
}) {
  const say = useSay()
  const language = useLanguage()
  const { chosen, picked, onChoose, onPick, onRelease, onDrop } = props
  const columns: Column<Message>[] = [
    {
      title: 'reason',
      cell: (each) => (
        <label className="pick">
          {onPick && isReleasable(each) && <input type="checkbox" checked={picked.has(each.id)} onChange={() => onPick(each.id)} />}
          <span>
            {say(reasonName(each.reason))} <span className="small detail">{each.detail}</span>
          </span>
        </label>
      ),
    },
    { title: 'tracker', cell: (each) => (each.tracker_id === null ? '' : (props.names.get(each.tracker_id) ?? each.tracker_id)) },
    { title: 'last-received', cell: (each) => timeText(language, each.last_received_at, 'second') },
    { title: 'seen', cell: (each) => each.seen },
    { title: 'state', cell: (each) => say(stateOf(each)) },
    {
      title: '',
      cell: (each) => (
        <div className="row">
          {each.payload_kept && (
            <Button aria-expanded={each.id === chosen} onPress={() => onChoose(each.id === chosen ? null : each.id)}>
              {say('message')}
            </Button>
          )}
          {onRelease && isReleasable(each) && <Button onPress={() => onRelease(each.id)}>{say('release')}</Button>}
          {onDrop && each.released_at === null && (
            <Button look="danger" onPress={() => onDrop(each.id)}>{say('remove')}</Button>
          )}
        </div>
      ),
    },
  ]
  return (
    <Table
      label={say('quarantine')}
      columns={columns}
      rows={props.rows}
      empty={props.empty}
      below={(each) => each.id === chosen && <Payload message={each} />}
    />
  )
}

function stateOf(message: Message): string {
  if (message.released_at !== null) return 'message-released'
  if (message.counts_only) return 'message-counted'
  if (!message.payload_kept) return 'message-not-kept'
  return message.releases > 0 ? 'message-came-back' : 'message-kept'
}

/** A message whole, as text that does nothing. */
function Payload(props: { message: Message }) {
  const say = useSay()
  const { id, topic, positions, payload_bytes: bytes, reason } = props.message
  const whole = useQuery({
    queryKey: ['quarantined', id],
    queryFn: () => data(api.GET('/v1/quarantine/{id}', { params: { path: { id } } })),
  })
  return (
    <section className="stack" aria-label={say('message')}>
      <p>{say(`${reasonName(reason)}-hint`)}</p>
      <dl className="facts">
        <dt>{say('topic')}</dt>
        <dd><code>{topic}</code></dd>
        {positions.length > 0 && (
          <>
            <dt>{say('places-in-message')}</dt>
            <dd>{positions.join(', ')}</dd>
          </>
        )}
        <dt>{say('size')}</dt>
        <dd>{say('bytes', { count: bytes })}</dd>
      </dl>
      {whole.error && <ProblemNote problem={problemOf(whole.error)} />}
      {whole.data?.payload != null && <pre tabIndex={0} className="payload">{payloadText(whole.data.payload)}</pre>}
    </section>
  )
}
