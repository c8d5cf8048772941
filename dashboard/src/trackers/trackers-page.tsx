import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState, type FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { ASSETS, useAssetNames } from '../live/live'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { Commands } from './commands'
import { EncryptionKey } from './encryption-key'
import { SetUp } from './set-up'

const TRACKERS = ['trackers']
const MOST = 1_000 // of a page
const INCLUDED = 'last_seen_at,connection'
const LOOK_AGAIN_MS = 10_000
type Tracker = Schemas['TrackerItem']
type NewAsset = Schemas['NewAsset']
type NewTracker = Schemas['NewTracker']
type Open = { id: string; part: 'commands' | 'encryption' }

/** Machines and the trackers on them. A new machine comes with its tracker, and how it is set up. */
export function TrackersPage() {
  const say = useSay()
  const language = useLanguage()
  const mayChange = useHasRole('dispatcher')
  const queries = useQueryClient()
  const names = new Map(useAssetNames().map((asset) => [asset.id, asset.name]))
  const assetOf = useRef(new Map<string, string>()) // made, and without a tracker yet
  const [made, setMade] = useState<{ tracker: Schemas['NewTrackerItem']; isNew: boolean } | null>(null)
  const [open, setOpen] = useState<Open | null>(null)
  const trackers = useQuery({
    queryKey: TRACKERS,
    queryFn: () => data(api.GET('/v1/trackers', { params: { query: { limit: MOST, include: INCLUDED } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const refresh = () => queries.invalidateQueries({ queryKey: TRACKERS })
  const make = useMutation({
    mutationFn: async ({ name, ...ids }: { name: string; external_id: string | null; imei: string | null }) => {
      const asset_id = assetOf.current.get(name) ?? (await data(api.POST('/v1/assets', { body: { name } as NewAsset }))).id
      assetOf.current.set(name, asset_id)
      const tracker = await data(api.POST('/v1/trackers', { body: { name, asset_id, ...ids } as NewTracker }))
      assetOf.current.delete(name)
      return tracker
    },
    onSuccess: (tracker) => {
      setMade({ tracker, isNew: true })
      return Promise.all([refresh(), queries.invalidateQueries({ queryKey: ASSETS })])
    },
  })
  const rotate = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/trackers/{id}/rotate', { params: { path: { id } } })),
    onSuccess: (tracker) => setMade({ tracker, isNew: false }),
  })
  const revoke = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/trackers/{id}/revoke', { params: { path: { id } } })),
    onSuccess: refresh,
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const given = new FormData(form)
    const textOf = (name: string) => String(given.get(name)).trim() || null
    const body = { name: String(given.get('name')), external_id: textOf('external_id'), imei: textOf('imei') }
    make.mutate(body, { onSuccess: () => form.reset() })
  }

  function stateOf(tracker: Tracker): string {
    if (tracker.revoked_at !== null) return say('revoked')
    if (tracker.connected) return say('connected')
    const { last_seen_at: seen } = tracker
    return !seen ? say('never-seen') : say('last-seen', { time: timeText(language, seen) })
  }

  const columns: Column<Tracker>[] = [
    {
      title: 'tracker',
      cell: ({ id, name, external_id, imei, imei_has_wrong_check_digit: isWrong }) => (
        <>
          {name ?? id}
          {external_id !== null && <code className="small detail">{external_id}</code>}
          {imei !== null && <code className="small detail">IMEI {imei}</code>}
          {isWrong && <span className="small detail">{say('imei-wrong-check-digit')}</span>}
        </>
      ),
    },
    { title: 'asset', cell: (tracker) => (tracker.asset_id === null ? '' : (names.get(tracker.asset_id) ?? tracker.asset_id)) },
    { title: 'state', cell: stateOf },
    ...(mayChange ? [{ title: '', cell: buttons }] : []),
  ]

  function opener(id: string, part: Open['part']) {
    const isOpen = open?.id === id && open.part === part
    return <Button aria-expanded={isOpen} onPress={() => setOpen(isOpen ? null : { id, part })}>{say(part)}</Button>
  }

  function opened(tracker: Tracker) {
    const { id, name } = tracker
    if (open?.id !== id) return null
    if (open.part === 'commands') return <Commands trackerId={id} name={name ?? id} />
    return <EncryptionKey tracker={tracker} onChanged={refresh} />
  }

  function buttons(tracker: Tracker) {
    if (tracker.revoked_at !== null) return null
    const name = tracker.name ?? tracker.id
    return (
      <div className="row">
        {opener(tracker.id, 'commands')}
        {opener(tracker.id, 'encryption')}
        <Button onPress={() => confirm(say('sure-set-up', { name })) && rotate.mutate(tracker.id)}>{say('set-up-again')}</Button>
        <Button look="danger" onPress={() => confirm(say('sure-revoke', { name })) && revoke.mutate(tracker.id)}>
          {say('revoke')}
        </Button>
      </div>
    )
  }

  const problem = trackers.error ?? make.error ?? rotate.error ?? revoke.error
  return (
    <div className="page">
      <h1>{say('trackers')}</h1>
      {mayChange && (
        <>
          <p>{say('trackers-hint')}</p>
          <form onSubmit={submit} className="stack">
            <div className="fields">
              <TextInput name="name" label={say('name-of-machine')} isRequired maxLength={200} />
              <TextInput name="external_id" label={say('external-id')} hint={say('external-id-hint')} maxLength={200} />
              <TextInput name="imei" label={say('imei')} hint={say('imei-hint')} maxLength={15} />
            </div>
            <div className="row">
              <Button type="submit" look="main" isPending={make.isPending}>{say('add-machine')}</Button>
            </div>
          </form>
        </>
      )}
      {made && <SetUp key={made.tracker.secret} {...made} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!trackers.error && (
        <Table
          label={say('trackers')}
          columns={columns}
          rows={trackers.data?.data}
          empty={say('no-trackers')}
          below={opened}
        />
      )}
    </div>
  )
}
