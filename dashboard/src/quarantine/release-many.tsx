import { useEffect, useRef, useState } from 'react'
import { api, data, type Schemas } from '../api/client'
import { useSay } from '../texts/texts'
import { Button, Note, ProblemNote } from '../ui/forms'
import { isReleasable, type Message } from './messages'
import { NOT_BEGUN, patiently, releaseAll, type Progress } from './release'

const PAGE = 100

/** Which messages are meant: as `GET /v1/quarantine` takes it. */
export type MessageQuery = { reason?: Message['reason']; tracker_id?: string; from?: string; to?: string }

/** The ids of messages that fit and can be released, page by page. */
async function* fitting(query: MessageQuery): AsyncGenerator<string> {
  let cursor: string | null = null
  do {
    const place = { limit: PAGE, total: 'none' as const, ...(cursor === null ? {} : { cursor }) }
    const ask = () => data(api.GET('/v1/quarantine', { params: { query: { ...query, ...place } } }))
    const page: Schemas['QuarantineList'] = await patiently(ask)
    for (const message of page.data) if (isReleasable(message)) yield message.id
    cursor = page.next_cursor
  } while (cursor !== null)
}

/** Releases what is chosen, or all that fit, and says how far it has come. onEnd: some may have been. */
export function ReleaseMany(props: { chosen: readonly string[]; query: MessageQuery; onEnd: () => void }) {
  const say = useSay()
  const { chosen, query, onEnd } = props
  const [progress, setProgress] = useState<Progress>(NOT_BEGUN)
  const isStopped = useRef(false)
  useEffect(
    () => () => {
      isStopped.current = true // who leaves the page ends it
    },
    [],
  )

  async function begin(ids: Iterable<string> | AsyncIterable<string>) {
    isStopped.current = false
    const release = (id: string) => data(api.POST('/v1/quarantine/{id}/release', { params: { path: { id } } }))
    await releaseAll(ids, release, setProgress, () => isStopped.current)
    onEnd()
  }

  const { released, refused, isRunning, problem } = progress
  return (
    <>
      <div className="row">
        {!isRunning && chosen.length > 0 && (
          <Button look="main" onPress={() => void begin(chosen)}>{say('release-chosen', { count: chosen.length })}</Button>
        )}
        {!isRunning && (
          <Button onPress={() => confirm(say('sure-release')) && void begin(fitting(query))}>{say('release-all')}</Button>
        )}
        {isRunning && <Button onPress={() => (isStopped.current = true)}>{say('release-stop')}</Button>}
      </div>
      {progress !== NOT_BEGUN && (
        <Note kind={isRunning ? 'plain' : 'good'}>
          <p>{say(isRunning ? 'releasing' : 'released-count', { count: released })}</p>
          {[...refused].map(([code, count]) => (
            <p key={code}>{say('release-refused', { count, why: say(`problem-${code.replaceAll('_', '-')}`) })}</p>
          ))}
        </Note>
      )}
      {problem && <ProblemNote problem={problem} />}
    </>
  )
}
