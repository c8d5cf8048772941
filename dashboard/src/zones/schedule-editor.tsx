import { useId } from 'react'
import { useLanguage, useSay } from '../texts/texts'
import { Checks, Choice } from '../ui/choice'
import { Button, FieldFaults, TextInput } from '../ui/forms'
import { DAYS, type Hours, type Schedule } from './facts'
import { faultsAt, type Fault } from './use-validation'

const MOST_HOURS = 50
const WORKDAYS: Hours = { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '07:00', to: '18:00' }
const A_MONDAY = Date.UTC(2024, 0, 1)
const DAY_MS = 86_400_000
const ZONES = Intl.supportedValuesOf('timeZone')

/** Hours of a week outside which nothing alerts; null: always. */
export function ScheduleEditor(props: {
  schedule: Schedule | null
  faults: readonly Fault[]
  onChange: (schedule: Schedule | null) => void
}) {
  const say = useSay()
  const id = useId()
  const { schedule, faults, onChange } = props
  const begun = (): Schedule => ({ timezone: Intl.DateTimeFormat().resolvedOptions().timeZone, windows: [WORKDAYS] })
  const setHours = (windows: Hours[]) => onChange(schedule && { ...schedule, windows })
  return (
    <>
      <Choice
        label={say('hours')}
        hint={say('hours-hint')}
        value={schedule === null ? 'always' : 'chosen'}
        values={['always', 'chosen'] as const}
        texts={[say('hours-always'), say('hours-chosen')]}
        onChoose={(choice) => onChange(choice === 'always' ? null : begun())}
      />
      {schedule && (
        <div className="stack inset">
          <TextInput
            label={say('time-zone')}
            hint={say('time-zone-hint')}
            list={id}
            value={schedule.timezone}
            onChange={(timezone) => onChange({ ...schedule, timezone })}
            error={faultsAt(faults, '/schedule/timezone')[0]}
          />
          <datalist id={id}>{ZONES.map((zone) => <option key={zone} value={zone} />)}</datalist>
          {schedule.windows.map((hours, place) => (
            <HoursRow
              key={place}
              number={place + 1}
              hours={hours}
              faults={faultsAt(faults, `/schedule/windows/${place}`)}
              onChange={(changed) => setHours(schedule.windows.map((each, at) => (at === place ? changed : each)))}
              onRemove={() => setHours(schedule.windows.filter((_, at) => at !== place))}
            />
          ))}
          <FieldFaults faults={faults.filter(({ pointer }) => pointer === '/schedule/windows').map(({ message }) => message)} />
          {schedule.windows.length < MOST_HOURS && (
            <Button onPress={() => setHours([...schedule.windows, WORKDAYS])}>{say('hours-add')}</Button>
          )}
        </div>
      )}
    </>
  )
}

function HoursRow(props: {
  number: number
  hours: Hours
  faults: readonly string[]
  onChange: (hours: Hours) => void
  onRemove: () => void
}) {
  const say = useSay()
  const { number, hours, faults, onChange, onRemove } = props
  const days = new Intl.DateTimeFormat(useLanguage(), { weekday: 'short', timeZone: 'UTC' })
  return (
    <div className="stack hours" role="group" aria-label={say('hours-number', { number })}>
      <Checks
        label={say('days')}
        values={DAYS}
        texts={DAYS.map((_, day) => days.format(A_MONDAY + day * DAY_MS))}
        chosen={hours.days}
        onChoose={(chosen) => onChange({ ...hours, days: chosen })}
      />
      <div className="row">
        <TextInput type="time" label={say('from')} value={hours.from} onChange={(from) => onChange({ ...hours, from })} />
        <TextInput type="time" label={say('to')} value={shownEnd(hours.to)} onChange={(to) => onChange({ ...hours, to: storedEnd(to) })} />
        <Button onPress={onRemove}>{say('remove')}</Button>
      </div>
      <FieldFaults faults={faults} />
    </div>
  )
}

/** The end of a day is midnight, which a field of times knows only at the day's beginning. */
function shownEnd(to: string): string {
  return to === '24:00' ? '00:00' : to
}

function storedEnd(to: string): string {
  return to === '00:00' ? '24:00' : to
}
