import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useSession } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { given, useFilters } from '../ui/filters'
import { Button, Note, ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'
import { dayText, REPORTS } from './columns'
import { FILTERS, filtersOf } from './filters'
import { ScheduleForm, weekdayText, type Draft, type Schedule } from './schedule-form'

const SCHEDULES = ['report-schedules']
const NAMES = ['report', ...FILTERS] as const
const MOST = 1_000 // of a page
type Change = Schemas['ReportScheduleChange']

/** Schedules of reports by mail. The address may have what a new one is about. */
export function SchedulesPage() {
  const say = useSay()
  const language = useLanguage()
  const { userId } = useSession()
  const queries = useQueryClient()
  const [{ report: wanted, ...filters }, setFilters] = useFilters(NAMES)
  const report = REPORTS.find((each) => each === wanted)
  const [draft, setDraft] = useState<Draft | null>(report === undefined ? null : { report, filters })
  const [sent, setSent] = useState<Schedule | null>(null)
  const schedules = useQuery({
    queryKey: SCHEDULES,
    queryFn: () => data(api.GET('/v1/report-schedules', { params: { query: { limit: MOST } } })),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: SCHEDULES })
  const close = () => {
    setDraft(null)
    setFilters(Object.fromEntries(NAMES.map((name) => [name, ''])))
  }
  const save = useMutation({
    mutationFn: ({ id, body }: { id?: string | undefined; body: Change }) =>
      id === undefined
        ? data(api.POST('/v1/report-schedules', { body: body as Schemas['NewReportSchedule'] }))
        : data(api.PATCH('/v1/report-schedules/{id}', { params: { path: { id } }, body })),
    onSuccess: () => {
      close()
      return refresh()
    },
  })
  const change = useMutation({
    mutationFn: ({ id, body }: { id: string; body: Change }) =>
      data(api.PATCH('/v1/report-schedules/{id}', { params: { path: { id } }, body })),
    onSuccess: refresh,
  })
  const remove = useMutation({
    mutationFn: (id: string) => data(api.DELETE('/v1/report-schedules/{id}', { params: { path: { id } } })),
    onSuccess: refresh,
  })
  const send = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/report-schedules/{id}/send', { params: { path: { id } } })),
    onSuccess: setSent,
  })

  function when({ cadence, weekday, month_day, local_time, time_zone }: Schedule): string {
    const day = cadence === 'weekly' ? weekdayText(language, weekday) : month_day
    return say(`schedule-when-${cadence}`, { day, time: local_time, zone: time_zone })
  }

  function last({ period_from: first, period_to: end }: Schedule): string {
    if (first === null || end === null) return say('schedule-never')
    return first === end ? dayText(language, first) : `${dayText(language, first)} – ${dayText(language, end)}`
  }

  function buttons(schedule: Schedule) {
    const { id, name, enabled, left_out, last_error } = schedule
    const edited: Draft = { report: schedule.report, filters: filtersOf(schedule.filters), schedule }
    return (
      <>
        {left_out.length > 0 && <p className="small">{say('schedule-left-out', { count: left_out.length })}</p>}
        {last_error !== null && <p className="small">{say('schedule-error', { error: last_error })}</p>}
        <div className="row">
          <Button onPress={() => setDraft(edited)}>{say('change')}</Button>
          <Button onPress={() => send.mutate(id)} isPending={send.isPending && send.variables === id}>{say('schedule-send')}</Button>
          <Button onPress={() => change.mutate({ id, body: { enabled: !enabled } })}>{say(enabled ? 'schedule-switch-off' : 'schedule-switch-on')}</Button>
          <Button look="danger" onPress={() => confirm(say('sure-delete-schedule', { name })) && remove.mutate(id)}>{say('delete')}</Button>
        </div>
      </>
    )
  }

  const columns: Column<Schedule>[] = [
    { title: 'name', cell: (schedule) => <Link to={`/reports?${addressOf(schedule)}`}>{schedule.name}</Link> },
    { title: 'report', cell: (schedule) => say(`report-${schedule.report}`) },
    { title: 'cadence', cell: when },
    {
      title: 'schedule-recipients',
      cell: ({ recipient_ids: ids }) => say(ids.includes(userId) ? 'schedule-you-and' : 'schedule-people', { count: ids.length }),
    },
    { title: 'schedule-next', cell: ({ next_run_at: next }) => (next === null ? say('schedule-off') : timeText(language, next)) },
    { title: 'schedule-last', cell: last },
  ]
  const problem = schedules.error ?? save.error ?? change.error ?? remove.error ?? send.error
  const title = draft?.schedule === undefined ? say('schedule-new') : say('schedule-change', { name: draft.schedule.name })
  return (
    <div className="page">
      <h1>{say('report-schedules')}</h1>
      <p>{say('report-schedules-hint')}</p>
      {draft === null ? (
        <div className="row">
          <Button look="main" onPress={() => setDraft({ report: 'day', filters: filtersOf({}) })}>{say('schedule-new')}</Button>
        </div>
      ) : (
        <section className="card" aria-label={title}>
          <h2>{title}</h2>
          <ScheduleForm
            key={draft.schedule?.id ?? ''}
            draft={draft}
            isPending={save.isPending}
            save={(body) => save.mutate({ id: draft.schedule?.id, body })}
            cancel={close}
          />
        </section>
      )}
      {sent && <Note kind="good">{say('schedule-sent', { name: sent.name })}</Note>}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!schedules.error && (
        <Table label={say('report-schedules')} columns={columns} rows={schedules.data?.data} empty={say('no-schedules')} below={buttons} />
      )}
    </div>
  )
}

/** The page of the report that was mailed last; of the last days where none was. */
function addressOf({ report, filters, period_from, period_to, time_zone }: Schedule): string {
  const days = period_from === null || period_to === null ? {} : { from: period_from, to: period_to }
  return String(new URLSearchParams({ report, ...days, tz: time_zone, ...given(filtersOf(filters)) }))
}
