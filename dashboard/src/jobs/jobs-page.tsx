import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useAssetNames } from '../live/live'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { Faults } from './faults'
import { fileOf, isOpen, madeBy, progressOf, textOf, type Job } from './jobs'
import { NewJob } from './new-job'

const JOBS = ['jobs']
const SHOWN = 100
const WHILE_OPEN_MS = 1_000
const ELSE_MS = 10_000

/** Imports and uploads, which begin here, erasures and exports: how far they are. */
export function JobsPage() {
  const say = useSay()
  const language = useLanguage()
  const mayChange = useHasRole('dispatcher')
  const isAdmin = useHasRole('admin')
  const names = new Map(useAssetNames().map(({ id, name }) => [id, name]))
  const queries = useQueryClient()
  const [chosen, setChosen] = useState<string | null>(null)
  const jobs = useQuery({
    queryKey: JOBS,
    queryFn: () => data(api.GET('/v1/jobs', { params: { query: { limit: SHOWN, total: 'none' } } })),
    refetchInterval: ({ state }) => (state.data?.data.some(isOpen) ? WHILE_OPEN_MS : ELSE_MS),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: JOBS })
  const cancel = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/jobs/{id}/cancel', { params: { path: { id } } })),
    onSettled: refresh,
  })

  const columns: Column<Job>[] = [
    {
      title: 'job-kind',
      cell: ({ kind, asset_id, employee_id, created_at }) => (
        <>
          {say(textOf(kind))}
          {asset_id !== null && <span className="small detail" dir="auto">{names.get(asset_id) ?? asset_id}</span>}
          {employee_id !== null && <span className="small detail">{employee_id}</span>}
          <span className="small detail">{timeText(language, created_at, 'second')}</span>
        </>
      ),
    },
    {
      title: 'state',
      cell: ({ kind, state, error, done, total }) => (
        <>
          {say(textOf(state))}
          {state === 'running' && <span className="small detail">{say(progressOf({ kind, total }), { done, total: total ?? 0 })}</span>}
          {error !== null && <span className="small detail" dir="auto">{error}</span>}
        </>
      ),
    },
    {
      title: 'result',
      cell: ({ kind, done, result }) => (
        <>
          {say(...madeBy({ kind, done, result }))}
          <span className="small detail">
            {result.known > 0 && say('job-known', { count: result.known })} {result.conflicts > 0 && say('job-conflicts', { count: result.conflicts })}
          </span>
        </>
      ),
    },
    { title: '', cell: buttons },
  ]

  function buttons(job: Job) {
    const { id, kind, state, result } = job
    return (
      <div className="row">
        {result.faults.length > 0 && (
          <Button aria-expanded={id === chosen} onPress={() => setChosen(id === chosen ? null : id)}>
            {say('job-faults')}
          </Button>
        )}
        {mayChange && kind === 'export' && state === 'done' && <a href={fileOf(id)} download>{say('fetch-file')}</a>}
        {(kind === 'erase_positions' ? isAdmin : mayChange) && isOpen(job) && (
          <Button look="danger" onPress={() => confirm(say(kind === 'erase_positions' ? 'sure-cancel-erasure' : 'sure-cancel-job')) && cancel.mutate(id)}>
            {say('cancel')}
          </Button>
        )}
      </div>
    )
  }

  const problem = jobs.error ?? cancel.error
  return (
    <div className="page">
      <h1>{say('imports')}</h1>
      <p>{say('imports-hint')}</p>
      {mayChange && <NewJob onMade={() => void refresh()} />}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!jobs.error && (
        <Table
          label={say('imports')}
          columns={columns}
          rows={jobs.data?.data}
          empty={say('no-imports')}
          below={({ id, result }) => id === chosen && <Faults faults={result.faults} hasMore={result.more_faults} />}
        />
      )}
    </div>
  )
}
