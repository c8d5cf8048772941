import { useEffect, useState, type FormEvent } from 'react'
import { useSay } from '../texts/texts'
import { Checks, Choice } from '../ui/choice'
import { Button, FieldFaults, TextInput } from '../ui/forms'
import { AssetChoice } from './asset-choice'
import { ALERTS, isNumber, NUMBERS, numberOf, type Facts, type NumberName } from './facts'
import { Centre } from './centre'
import type { Drawn, Mode } from './drawing'
import { ScheduleEditor } from './schedule-editor'
import { ZONE_KINDS } from './shapes'
import { faultsAt, type Verdict } from './use-validation'

const ALERTING: readonly NumberName[] = ['speed_limit_mps', 'dwell_seconds', 'close_after_silence_seconds']
const FINE: readonly NumberName[] = [
  'exit_buffer_m',
  'enter_confirm_fixes',
  'enter_confirm_seconds',
  'exit_confirm_fixes',
  'exit_confirm_seconds',
  'max_gap_seconds',
  'pass_min_m',
  'coarse_accuracy_m',
  'accuracy_clamp_m',
  'punch_tolerance_m',
]

/** A shape that is drawn, with its radius or width. */
export interface DrawnShape {
  /** null: of several parts, or with a hole, which is not drawn here. */
  mode: Mode | null
  drawn: Drawn | null
  metres: string
}

/** All that is set of a zone. What is wrong with it is said where it is set. */
export function ZoneForm(props: {
  hint: string
  facts: Facts
  shape: DrawnShape
  verdict: Verdict
  isSaving: boolean
  onFacts: (facts: Facts) => void
  onShape: (shape: DrawnShape) => void
  onSave: () => void
  onCancel: () => void
  onTry: () => void
  isTrying: boolean
}) {
  const say = useSay()
  const { facts, shape, onFacts, onShape } = props
  const { faults, area_m2 } = props.verdict
  const [isFine, setIsFine] = useState(FINE.some((name) => facts.numbers[name] !== ''))
  const hasFineFault = FINE.some((name) => faultsAt(faults, `/${name}`).length > 0)
  useEffect(() => {
    if (hasFineFault) setIsFine(true)
  }, [hasFineFault])
  const set = (changes: Partial<Facts>) => onFacts({ ...facts, ...changes })
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    props.onSave()
  }
  const numbers = (names: readonly NumberName[]) =>
    names.map((name) => (
      <TextInput
        key={name}
        inputMode="decimal"
        label={say(NUMBERS[name].text)}
        hint={say(`${NUMBERS[name].text}-hint`)}
        value={facts.numbers[name]}
        onChange={(text) => set({ numbers: { ...facts.numbers, [name]: text } })}
        error={isNumber(facts.numbers[name]) ? faultsAt(faults, `/${name}`)[0] : say('number-wanted')}
      />
    ))
  return (
    <form onSubmit={submit} className="stack">
      <p>{props.hint}</p>
      <TextInput
        label={say('name')}
        value={facts.name}
        onChange={(name) => set({ name })}
        isRequired
        maxLength={200}
        error={faultsAt(faults, '/name')[0]}
      />
      {(shape.mode === 'point' || shape.mode === 'linestring') && (
        <TextInput
          inputMode="decimal"
          label={say(shape.mode === 'point' ? 'radius' : 'width')}
          value={shape.metres}
          onChange={(metres) => onShape({ ...shape, metres })}
          isRequired
          error={numberOf(shape.metres) > 0 ? faultsAt(faults, '/radius_m', '/width_m')[0] : say('number-wanted')}
        />
      )}
      {shape.mode === 'point' && <Centre drawn={shape.drawn} onChange={(drawn) => onShape({ ...shape, drawn })} />}
      {area_m2 !== null && <p className="small">{say('area', { hectares: area_m2 / 10_000 })}</p>}
      <FieldFaults faults={faultsAt(faults, '/geometry')} />
      <Choice
        label={say('kind')}
        hint={say('kind-hint')}
        value={facts.kind}
        values={ZONE_KINDS}
        texts={ZONE_KINDS.map((kind) => say(`kind-${kind}`))}
        onChoose={(kind) => set({ kind })}
      />
      <Choice
        label={say('what-alerts')}
        hint={say('what-alerts-hint')}
        value={facts.alert_on === null ? 'by-kind' : 'own'}
        values={['by-kind', 'own'] as const}
        texts={[say('alerts-by-kind'), say('alerts-own')]}
        onChoose={(choice) => set({ alert_on: choice === 'own' ? ['enter', 'exit'] : null })}
      />
      {facts.alert_on && (
        <div className="inset">
          <Checks
            label={say('what-alerts')}
            isLabelSeen={false}
            values={ALERTS}
            texts={ALERTS.map((alert) => say(`alert-${alert.replace('_', '-')}`))}
            chosen={facts.alert_on}
            onChoose={(alert_on) => set({ alert_on })}
          />
        </div>
      )}
      <AssetChoice chosen={facts.assets} faults={faults} onChange={(assets) => set({ assets })} />
      <ScheduleEditor schedule={facts.schedule} faults={faults} onChange={(schedule) => set({ schedule })} />
      {numbers(ALERTING)}
      <details open={isFine} onToggle={(event) => setIsFine(event.currentTarget.open)}>
        <summary>{say('fine-rules')}</summary>
        <div className="stack inset">
          <p className="small">{say('fine-rules-hint')}</p>
          {numbers(FINE)}
        </div>
      </details>
      <div className="row form-end">
        <Button type="submit" look="main" isDisabled={shape.drawn === null} isPending={props.isSaving}>{say('save')}</Button>
        <Button onPress={props.onCancel}>{say('cancel')}</Button>
        <Button onPress={props.onTry} isDisabled={shape.drawn === null} isPending={props.isTrying}>{say('try')}</Button>
      </div>
    </form>
  )
}
