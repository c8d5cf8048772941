import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState, type ChangeEvent } from 'react'
import { Link } from 'react-router'
import { api, data } from '../api/client'
import { Problem, problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'
import { numberOf, type NewZone } from '../zones/facts'
import { ZONE_KINDS, type Zone, type ZoneKind } from '../zones/shapes'
import { ZoneMap } from '../zones/zone-map'
import { bodyOfRow, MOST_BYTES, MOST_ROWS, portionsOf, Unreadable } from './found'
import { FoundTable, type Row } from './found-table'
import { readRows } from './read-file'

/** A file that was read: its rows, or the name of the text that says why it has none. */
interface Taken {
  title: string
  rows: Row[]
  fault: string | null
}

/** Zones from a file, for those who may make zones. */
export default function ImportPage() {
  const say = useSay()
  if (useHasRole('dispatcher')) return <Import />
  return (
    <div className="page">
      <h1>{say('import')}</h1>
      <Note kind="plain">{say('problem-forbidden')}</Note>
    </div>
  )
}

/** What a file has is shown, on the map too, and then made. */
function Import() {
  const say = useSay()
  const queries = useQueryClient()
  const [taken, setTaken] = useState<Taken | null>(null)
  const [kind, setKind] = useState<ZoneKind>('other')
  const [radius, setRadius] = useState('50')
  const [width, setWidth] = useState('20')
  const [chosen, setChosen] = useState<string | null>(null)
  const [isFailed, setIsFailed] = useState(false)
  const [keys] = useState(() => new Map<string, string>()) // of requests whose answer did not come, by their body
  const rows = taken?.rows ?? []
  const given = { radius_m: numberOf(radius), width_m: numberOf(width), kind }
  const has = (type: string) => rows.some(({ found }) => found.geometry?.type === type)
  const isGiven = (given.radius_m > 0 || !has('Point')) && (given.width_m > 0 || !has('LineString'))
  const setRows = (changes: ReadonlyMap<string, Partial<Row>>) =>
    setTaken((old) => old && { ...old, rows: old.rows.map((row) => ({ ...row, ...changes.get(row.id) })) })

  const send = useMutation({
    mutationFn: async (wanted: readonly { id: string; body: NewZone }[]) => {
      for (const portion of portionsOf(wanted)) {
        const body = portion.map((row) => row.body)
        const text = JSON.stringify(body)
        const key = keys.get(text) ?? newKey()
        keys.set(text, key)
        try {
          await data(api.POST('/v1/zones/batch', { params: { header: { 'Idempotency-Key': key } }, body }))
          keys.delete(text)
          setRows(new Map(portion.map(({ id }) => [id, { result: 'made', isWanted: false, messages: [] }])))
        } catch (thrown) {
          const problem = problemOf(thrown)
          if (isAnswered(problem)) keys.delete(text)
          const refused = [...messagesOf(problem.document.errors ?? [], portion)]
          setRows(new Map(refused.map(([id, messages]) => [id, { result: 'refused', isWanted: false, messages }])))
          throw thrown
        }
      }
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['zones'] }),
  })

  async function take(event: ChangeEvent<HTMLInputElement>) {
    const input = event.target
    const [file] = input.files ?? []
    if (file === undefined) return
    send.reset()
    setChosen(null)
    setTaken(await takenFrom(file))
    input.value = '' // the same file may be chosen again, corrected
  }

  const wanted = rows.flatMap((row) => {
    const body = row.isWanted ? bodyOfRow(row.found, given) : null
    return body === null ? [] : [{ id: row.id, body }]
  })
  const drawn = useMemo(() => rows.flatMap((row) => zoneOf(row, given)), [taken, kind, radius, width])
  const made = rows.filter(({ result }) => result === 'made').length
  return (
    <div className={isFailed ? 'map-page without-map zones-page' : 'map-page zones-page'}>
      <section className="side history" aria-label={say('import')}>
        <Link to="/zones">{say('all-zones')}</Link>
        <h1>{say('import')}</h1>
        <div className="field">
          <label htmlFor="zone-file">{say('import-file')}</label>
          <input id="zone-file" type="file" accept=".geojson,.json,.kml,.gpx" disabled={send.isPending} aria-describedby="zone-file-hint" onChange={(event) => void take(event)} />
          <span id="zone-file-hint" slot="description">{say('import-hint')}</span>
        </div>
        {taken?.fault && <Note kind="bad">{say(taken.fault)}</Note>}
        {taken && taken.fault === null && rows.length === 0 && <Note kind="plain">{say('import-nothing')}</Note>}
        {rows.length > 0 && (
          <>
            <Choice
              label={say('kind')}
              hint={say('import-kind-hint')}
              value={kind}
              values={ZONE_KINDS}
              texts={ZONE_KINDS.map((each) => say(`kind-${each}`))}
              onChoose={setKind}
            />
            {has('Point') && (
              <TextInput inputMode="decimal" label={say('radius')} hint={say('import-radius-hint')} value={radius} onChange={setRadius} error={given.radius_m > 0 ? undefined : say('number-wanted')} />
            )}
            {has('LineString') && (
              <TextInput inputMode="decimal" label={say('width')} hint={say('import-width-hint')} value={width} onChange={setWidth} error={given.width_m > 0 ? undefined : say('number-wanted')} />
            )}
            {made > 0 && <Note kind="good">{say('import-made', { count: made })}</Note>}
            {send.error && <ProblemNote problem={withoutRows(problemOf(send.error))} />}
            <Button look="main" isDisabled={wanted.length === 0 || !isGiven} isPending={send.isPending} onPress={() => send.mutate(wanted)}>
              {say('import-make', { count: wanted.length })}
            </Button>
            <FoundTable rows={rows} chosen={chosen} onChoose={setChosen} onWant={(id, isWanted) => setRows(new Map([[id, { isWanted }]]))} />
          </>
        )}
      </section>
      {isFailed ? (
        <Note kind="plain">{say('no-webgl')}</Note>
      ) : (
        <ZoneMap
          key={taken?.title ?? ''}
          label={say('map')}
          zones={drawn}
          chosen={drawn.find(({ id }) => id === chosen) ?? null}
          task={null}
          preview={null}
          onDrawn={() => {}}
          onChoose={setChosen}
          onFailed={() => setIsFailed(true)}
        />
      )}
    </div>
  )
}

async function takenFrom(file: File): Promise<Taken> {
  const title = file.name.replace(/\.[^.]*$/, '')
  if (file.size > MOST_BYTES) return { title, rows: [], fault: 'file-too-large' }
  try {
    const found = readRows(await file.text(), title)
    if (found.length > MOST_ROWS) return { title, rows: [], fault: 'file-has-too-many' }
    const rows = found.map((each, place) => ({ id: String(place), found: each, isWanted: each.fault === null, result: null, messages: [] }))
    return { title, rows, fault: null }
  } catch (thrown) {
    return { title, rows: [], fault: thrown instanceof Unreadable ? thrown.text : 'file-unreadable' }
  }
}

/** An idempotency key. `crypto.randomUUID` is not there without TLS. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}

/** Whether the API refused a request for good, so that the next one is another one. */
function isAnswered({ code, document }: Problem): boolean {
  return document.status >= 400 && document.status < 500 && !code.startsWith('idempotency')
}

/** A row as the map draws it, before it is a zone. */
function zoneOf(row: Row, given: Parameters<typeof bodyOfRow>[1]): Zone[] {
  const body = bodyOfRow(row.found, given)
  return body === null || row.result === 'refused' ? [] : [{ ...body, id: row.id } as unknown as Zone]
}

/** The messages of each row of a portion that was refused: `/3/geometry` is about the fourth. */
function messagesOf(
  errors: readonly { message: string; pointer?: string }[],
  portion: readonly { id: string }[],
): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const { message, pointer = '' } of errors) {
    const row = portion[Number(/^\/(\d+)/.exec(pointer)?.[1] ?? NaN)]
    if (row) found.set(row.id, [...(found.get(row.id) ?? []), message])
  }
  return found
}

/** A problem without the faults that stand at their rows. */
function withoutRows({ document }: Problem): Problem {
  const errors = document.errors?.filter(({ pointer = '' }) => !/^\/\d/.test(pointer)) ?? []
  return new Problem({ ...document, errors })
}
