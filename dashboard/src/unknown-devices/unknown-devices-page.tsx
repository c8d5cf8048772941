import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { useFilters } from '../ui/filters'
import { Button, Note, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { nameOf, reasonName, REASONS, type Device } from './reasons'
import { RegisterForm } from './register-form'

const UNKNOWN_DEVICES = ['unknown-devices']
const MOST = 1_000 // of an organization
const LOOK_AGAIN_MS = 5_000
const FILTERS = ['reason'] as const

/** Devices that would send and are not let in: registered here, or forgotten. */
export function UnknownDevicesPage() {
  const say = useSay()
  const language = useLanguage()
  const queries = useQueryClient()
  const [filters, setFilters] = useFilters(FILTERS)
  const [chosen, setChosen] = useState<string | null>(null)
  const [registered, setRegistered] = useState<string | null>(null)
  const devices = useQuery({
    queryKey: UNKNOWN_DEVICES,
    queryFn: () => data(api.GET('/v1/unknown-devices', { params: { query: { limit: MOST } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const refresh = () => queries.invalidateQueries({ queryKey: UNKNOWN_DEVICES })
  const forget = useMutation({
    mutationFn: (id: string) => data(api.DELETE('/v1/unknown-devices/{id}', { params: { path: { id } } })),
    onSettled: refresh,
  })

  function done(name: string) {
    setRegistered(name)
    setChosen(null)
    void refresh()
  }

  const columns: Column<Device>[] = [
    {
      title: 'device',
      cell: (device) => (
        <>
          {device.tracker_id === null ? <code>{device.external_id}</code> : nameOf(device)}
          {device.tracker_name !== null && device.external_id !== null && (
            <code className="small detail">{device.external_id}</code>
          )}
        </>
      ),
    },
    {
      title: 'reason',
      cell: ({ reason }) => (
        <>
          {say(reasonName(reason))}
          <span className="small detail">
            {say(`${reasonName(reason)}-hint`)} {reason === 'wrong_secret' && <Link to="/trackers">{say('trackers')}</Link>}
          </span>
        </>
      ),
    },
    {
      title: 'came-by',
      cell: ({ gateway_name, protocol, format }) => (
        <>
          {gateway_name}
          <span className="small detail">{[protocol.toUpperCase(), format].filter((each) => each !== null).join(' · ')}</span>
        </>
      ),
    },
    {
      title: 'device-last-seen',
      cell: ({ first_seen_at, last_seen_at }) => (
        <>
          {timeText(language, last_seen_at, 'second')}
          <span className="small detail">{say('first-seen', { time: timeText(language, first_seen_at) })}</span>
        </>
      ),
    },
    { title: 'seen', cell: ({ seen }) => seen },
    { title: 'last-position', cell: ({ lat, lon }) => (lat === null || lon === null ? '' : `${lat.toFixed(5)}, ${lon.toFixed(5)}`) },
    { title: '', cell: buttons },
  ]

  function buttons(device: Device) {
    const name = nameOf(device)
    return (
      <div className="row">
        {device.reason === 'not_registered' && (
          <Button aria-expanded={device.id === chosen} onPress={() => setChosen(device.id === chosen ? null : device.id)}>
            {say('register')}
          </Button>
        )}
        <Button look="danger" onPress={() => confirm(say('sure-forget', { name })) && forget.mutate(device.id)}>
          {say('forget')}
        </Button>
      </div>
    )
  }

  const problem = devices.error ?? forget.error
  const isFiltered = filters.reason !== ''
  const rows = devices.data?.data.filter(({ reason }) => !isFiltered || reason === filters.reason)
  return (
    <div className="page">
      <h1>{say('unknown-devices')}</h1>
      <p>{say('unknown-devices-hint')}</p>
      <div className="filters" role="group" aria-label={say('filters')}>
        <Choice
          label={say('reason')}
          value={filters.reason as Device['reason'] | ''}
          values={['', ...REASONS]}
          texts={[say('all'), ...REASONS.map((reason) => say(reasonName(reason)))]}
          onChoose={(reason) => setFilters({ reason })}
        />
      </div>
      {registered !== null && (
        <Note kind="good">
          <p>{say('device-registered', { name: registered })} <Link to="/trackers">{say('trackers')}</Link></p>
        </Note>
      )}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!devices.error && (
        <Table
          label={say('unknown-devices')}
          columns={columns}
          rows={rows}
          empty={say(isFiltered ? 'no-unknown-device-fits' : 'no-unknown-devices')}
          below={(device) =>
            device.id === chosen && <RegisterForm device={device} onDone={done} onCancel={() => setChosen(null)} />
          }
        />
      )}
    </div>
  )
}
