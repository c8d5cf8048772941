import { useState } from 'react'
import type { Tagged } from '../api/client'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Button, Check, TextInput } from '../ui/forms'
import { draftOf, EACH, HOUR, MOST_BREAKS, OVERTIME, PERIODS, rulesOf, STANDARD_SHIFT_S, STEPS, type Draft } from './hours'
import { numberText } from './numbers'
import { useOrganizationChange, type Organization } from './organization'
import { NumberField, SettingForm } from './setting-form'

const PLACE = 'timesheet_rules'
const FIELDS = ['anchor', 'longest_shift_s', 'shortest_break_s', 'rounding/grace_s', 'overtime/daily_s', 'overtime/double_daily_s', 'overtime/weekly_s'].map(
  (name) => `${PLACE}/${name}`,
)
const A_MONDAY = Date.UTC(2026, 2, 2)
const DAY_MS = 86_400_000
const WEEKDAYS = ['0', '1', '2', '3', '4', '5', '6'] as const
type Change = (changes: Partial<Draft>) => void

/** How hours are counted and paid: given as a whole. */
export function HoursForm({ item, tag }: Tagged<Organization>) {
  const say = useSay()
  const language = useLanguage()
  const change = useOrganizationChange(tag)
  const [draft, setDraft] = useState(() => draftOf(language, item.timesheet_rules))
  const set: Change = (changes) => {
    setDraft((old) => ({ ...old, ...changes }))
    if (!change.isPending) change.reset()
  }
  const weekdays = new Intl.DateTimeFormat(language, { weekday: 'long', timeZone: 'UTC' })
  return (
    <SettingForm
      title="hours-and-pay"
      hint="hours-and-pay-hint"
      fields={FIELDS}
      change={change}
      read={() => {
        const { rules, bad } = rulesOf(language, draft)
        return { body: { timesheet_rules: rules }, bad }
      }}
    >
      <div className="fields">
        <Choice
          label={say('set-period')}
          hint={say('set-period-hint')}
          value={draft.period}
          values={PERIODS}
          texts={PERIODS.map((each) => say(`period-${each.replace('_', '-')}`))}
          onChoose={(period) => set({ period })}
        />
        <Choice
          label={say('set-first-weekday')}
          hint={say('set-first-weekday-hint')}
          value={draft.firstWeekday as (typeof WEEKDAYS)[number]}
          values={WEEKDAYS}
          texts={WEEKDAYS.map((each) => weekdays.format(A_MONDAY + Number(each) * DAY_MS))}
          onChoose={(firstWeekday) => set({ firstWeekday })}
        />
        {(draft.period === 'two_weeks' || draft.anchor !== '') && (
          <TextInput
            name={`${PLACE}/anchor`}
            type="date"
            label={say('set-anchor')}
            hint={say('set-anchor-hint')}
            value={draft.anchor}
            onChange={(anchor) => set({ anchor })}
          />
        )}
        <NumberField
          name={`${PLACE}/longest_shift_s`}
          unit="h"
          standard={numberText(language, STANDARD_SHIFT_S, HOUR)}
          value={draft.longestShift}
          onChange={(longestShift) => set({ longestShift })}
        />
      </div>
      <Check
        label={say('set-cuts-at-midnight')}
        hint={say('set-cuts-at-midnight-hint')}
        isChecked={draft.cutsAtMidnight}
        onChange={(cutsAtMidnight) => set({ cutsAtMidnight })}
      />
      <Check
        label={say('set-closes-at-midnight')}
        hint={say('set-closes-at-midnight-hint')}
        isChecked={draft.closesAtMidnight}
        onChange={(closesAtMidnight) => set({ closesAtMidnight })}
      />
      <Overtime draft={draft} set={set} />
      <Rounding draft={draft} set={set} />
      <Breaks draft={draft} set={set} />
    </SettingForm>
  )
}

interface Part {
  draft: Draft
  set: Change
}

function Overtime({ draft, set }: Part) {
  const say = useSay()
  return (
    <>
      <h3>{say('overtime')}</h3>
      <div className="fields">
        <Choice
          label={say('set-overtime')}
          hint={say('set-overtime-hint')}
          value={draft.overtime}
          values={OVERTIME}
          texts={OVERTIME.map((each) => say(`overtime-${each.replace('_', '-')}`))}
          onChoose={(overtime) => set({ overtime })}
        />
        {draft.overtime === 'own' && (
          <>
            <NumberField name={`${PLACE}/overtime/daily_s`} unit="h" value={draft.daily} onChange={(daily) => set({ daily })} />
            <NumberField
              name={`${PLACE}/overtime/double_daily_s`}
              unit="h"
              value={draft.doubleDaily}
              onChange={(doubleDaily) => set({ doubleDaily })}
            />
            <NumberField name={`${PLACE}/overtime/weekly_s`} unit="h" value={draft.weekly} onChange={(weekly) => set({ weekly })} />
          </>
        )}
      </div>
      {draft.overtime === 'own' && (
        <Check
          label={say('set-seventh-day')}
          hint={say('set-seventh-day-hint')}
          isChecked={draft.seventhDay}
          onChange={(seventhDay) => set({ seventhDay })}
        />
      )}
    </>
  )
}

function Rounding({ draft, set }: Part) {
  const say = useSay()
  return (
    <>
      <h3>{say('rounding')}</h3>
      <div className="fields">
        <Choice
          label={say('set-step')}
          hint={say('set-step-hint')}
          value={draft.step}
          values={STEPS}
          texts={STEPS.map((each) => (each === '' ? say('not-rounded') : say('minutes', { count: Number(each) })))}
          onChoose={(step) => set({ step })}
        />
        {draft.step !== '' && (
          <>
            <NumberField
              name={`${PLACE}/rounding/grace_s`}
              unit="min"
              value={draft.grace}
              onChange={(grace) => set({ grace })}
            />
            <Choice
              label={say('set-each')}
              hint={say('set-each-hint')}
              value={draft.each}
              values={EACH}
              texts={EACH.map((each) => say(`each-${each}`))}
              onChoose={(each) => set({ each })}
            />
          </>
        )}
      </div>
    </>
  )
}

function Breaks({ draft, set }: Part) {
  const say = useSay()
  const mayChange = useHasRole('admin')
  const { breaks } = draft
  const put = (number: number, changes: Partial<(typeof breaks)[number]>) =>
    set({ breaks: breaks.map((each, place) => (place === number ? { ...each, ...changes } : each)) })
  return (
    <>
      <h3>{say('breaks')}</h3>
      <div className="fields">
        <NumberField
          name={`${PLACE}/shortest_break_s`}
          unit="min"
          standard="0"
          value={draft.shortestBreak}
          onChange={(shortestBreak) => set({ shortestBreak })}
        />
      </div>
      <p className="small">{say('automatic-breaks-hint')}</p>
      {breaks.map((each, number) => (
        <div key={number} className="row" role="group" aria-label={say('automatic-break', { number: number + 1 })}>
          <TextInput
            name={`${PLACE}/automatic_breaks/${number}/after_s`}
            inputMode="decimal"
            label={say('after-hours')}
            value={each.after}
            onChange={(after) => put(number, { after })}
          />
          <TextInput
            name={`${PLACE}/automatic_breaks/${number}/break_s`}
            inputMode="decimal"
            label={say('break-minutes')}
            value={each.length}
            onChange={(length) => put(number, { length })}
          />
          {mayChange && (
            <Button look="danger" onPress={() => set({ breaks: breaks.filter((_, place) => place !== number) })}>
              {say('remove')}
            </Button>
          )}
        </div>
      ))}
      {mayChange && breaks.length < MOST_BREAKS && (
        <div className="row">
          <Button onPress={() => set({ breaks: [...breaks, { after: '6', length: '30' }] })}>{say('add-break')}</Button>
        </div>
      )}
    </>
  )
}
