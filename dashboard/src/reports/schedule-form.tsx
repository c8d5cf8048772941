import { useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { useHasRole, useSession } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { localeOf } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, Check, Note, TextInput } from '../ui/forms'
import { SearchedChecks } from '../ui/searched-checks'
import { REPORTS, type Report } from './columns'
import { askedOf, FilterChoices, ReportChoice, RestNote, type Filters } from './filters'

export const CADENCES = ['daily', 'weekly', 'monthly'] as const
const MOST = 1_000 // of a page
const WEEKDAYS = ['1', '2', '3', '4', '5', '6', '7'] as const
const DAYS_OF_MONTH = Array.from({ length: 31 }, (_, place) => String(place + 1))
export type Schedule = Schemas['ReportScheduleItem']

/** What a form is about: a schedule that is there, or what the page of a report shows. */
export interface Draft {
  report: Report
  filters: Filters
  schedule?: Schedule
}

/** The name of a day of the week, of which Monday is 1. */
export function weekdayText(language: string, weekday: number): string {
  const day = new Intl.DateTimeFormat(localeOf(language), { weekday: 'long', timeZone: 'UTC' })
  return day.format(Date.UTC(2024, 0, weekday)) // the first was a Monday
}

/** The fields of a schedule. */
export function ScheduleForm(props: {
  draft: Draft
  isPending: boolean
  save: (body: Schemas['ReportScheduleChange']) => void
  cancel: () => void
}) {
  const say = useSay()
  const language = useLanguage()
  const { userId } = useSession()
  const isAdmin = useHasRole('admin')
  const { schedule } = props.draft
  const [report, setReport] = useState(props.draft.report)
  const [filters, setFilters] = useState(props.draft.filters)
  const [cadence, setCadence] = useState(schedule?.cadence ?? 'weekly')
  const [recipients, setRecipients] = useState(schedule?.recipient_ids ?? [userId])
  const change = (changes: Partial<Filters> & { report?: string }) => {
    const { report: next, ...others } = changes
    setReport(REPORTS.find((each) => each === next) ?? report)
    setFilters({ ...filters, ...others })
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const given = new FormData(event.currentTarget)
    const zone = String(given.get('time_zone')).trim()
    props.save({
      name: String(given.get('name')),
      report,
      filters: askedOf(report, filters) as Schemas['ReportFilters'],
      cadence,
      ...(cadence === 'weekly' ? { weekday: Number(given.get('weekday')) } : {}),
      ...(cadence === 'monthly' ? { month_day: Number(given.get('month_day')) } : {}),
      local_time: String(given.get('local_time')),
      ...(zone === '' ? {} : { time_zone: zone }),
      recipient_ids: recipients,
    })
  }

  return (
    <form onSubmit={submit} className="stack">
      <div className="fields">
        <TextInput name="name" label={say('name')} defaultValue={schedule?.name ?? ''} isRequired maxLength={200} />
        <ReportChoice report={report} onChange={change} />
        <FilterChoices report={report} filters={filters} onChange={change} />
        <TextInput
          label={say('report-tag')}
          hint={say('report-tag-hint')}
          value={filters.tag}
          onChange={(tag) => change({ tag: tag.replaceAll(' ', '') })}
          maxLength={500}
        />
      </div>
      <RestNote filters={{ ...filters, tag: '' }} onChange={({ client = '', employee = '' }) => change({ client, employee })} />
      <div className="fields">
        <Choice
          label={say('cadence')}
          hint={say(`cadence-${cadence}-hint`)}
          value={cadence}
          values={CADENCES}
          texts={CADENCES.map((each) => say(`cadence-${each}`))}
          onChoose={setCadence}
        />
        {cadence === 'weekly' && (
          <Choice
            name="weekday"
            label={say('schedule-weekday')}
            value={String(schedule?.weekday ?? 1) as '1'}
            values={WEEKDAYS}
            texts={WEEKDAYS.map((each) => weekdayText(language, Number(each)))}
          />
        )}
        {cadence === 'monthly' && (
          <Choice
            name="month_day"
            label={say('schedule-month-day')}
            hint={say('schedule-month-day-hint')}
            value={String(schedule?.month_day ?? 1)}
            values={DAYS_OF_MONTH}
            texts={DAYS_OF_MONTH}
          />
        )}
        <TextInput name="local_time" type="time" label={say('schedule-time')} defaultValue={schedule?.local_time ?? '06:00'} isRequired />
        <TextInput name="time_zone" label={say('set-timezone')} hint={say('schedule-zone-hint')} defaultValue={schedule?.time_zone ?? ''} maxLength={64} />
      </div>
      {isAdmin ? <Users chosen={recipients} onChoose={setRecipients} /> : <Own chosen={recipients} onChoose={setRecipients} />}
      {recipients.length === 0 && <Note kind="plain">{say('schedule-nobody')}</Note>}
      <div className="row">
        <Button type="submit" look="main" isPending={props.isPending} isDisabled={recipients.length === 0}>
          {say(schedule === undefined ? 'schedule-add' : 'save')}
        </Button>
        <Button onPress={props.cancel}>{say('cancel')}</Button>
      </div>
    </form>
  )
}

interface Recipients {
  chosen: readonly string[]
  onChoose: (ids: string[]) => void
}

/** The recipients, as an admin chooses them. */
function Users(props: Recipients) {
  const say = useSay()
  const users = useQuery({
    queryKey: ['users'],
    queryFn: () => data(api.GET('/v1/users', { params: { query: { limit: MOST } } })),
  })
  const people = (users.data?.data ?? []).filter(({ id, active, service }) => (active && !service) || props.chosen.includes(id))
  return (
    <section aria-label={say('schedule-recipients')}>
      <h3>{say('schedule-recipients')}</h3>
      <SearchedChecks
        label={say('schedule-recipients')}
        searchLabel={say('schedule-search')}
        things={people.map(({ id, name, email }) => ({ id, name: name === null ? email : `${name} (${email})` }))}
        chosen={props.chosen}
        onChoose={props.onChoose}
      />
    </section>
  )
}

/** The recipients, of whom a dispatcher may add and remove themselves alone. */
function Own(props: Recipients) {
  const say = useSay()
  const { userId } = useSession()
  const others = props.chosen.filter((id) => id !== userId)
  return (
    <>
      <Check
        label={say('schedule-to-me')}
        isChecked={props.chosen.includes(userId)}
        onChange={(isChecked) => props.onChoose(isChecked ? [...others, userId] : others)}
      />
      {others.length > 0 && <p className="small">{say('schedule-others', { count: others.length })}</p>}
    </>
  )
}
