import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Button, Note, ProblemNote } from '../ui/forms'
import { ExportButtons } from '../zone-files/export-buttons'
import { MODES, type Drawn, type Mode } from './drawing'
import { areNumbers, bodyOf, factsOf, numberOf, type Facts, type NewZone } from './facts'
import type { Outline, Zone } from './shapes'
import { Trial, useTrial } from './trial'
import type { Version } from './use-zone-history'
import { useValidation } from './use-validation'
import { useZones } from './use-zones'
import { ZoneForm, type DrawnShape } from './zone-form'
import { ZoneMap, type Task } from './zone-map'
import { ZonePanel } from './zone-panel'

const DEFAULT_METRES: Record<Mode, string> = { polygon: '', point: '100', linestring: '20' }
const NO_ZONES: readonly Zone[] = []

/** What is being drawn: a new zone, or another shape and other facts of one that is there. */
interface Draft {
  zone: Zone | null
  shape: DrawnShape
  facts: Facts
  /** Of the zone as it was read: a change of somebody else's meanwhile is not written over. */
  tag: string | null
}

/** Zones on a map: drawn, changed, deleted. A change judges what arrives from now on. */
export default function ZonesPage() {
  const say = useSay()
  const mayChange = useHasRole('dispatcher')
  const zones = useZones()
  const queries = useQueryClient()
  const [isFailed, setIsFailed] = useState(false)
  const [address, setAddress] = useSearchParams()
  const chosenId = address.get('zone')
  const [version, setVersion] = useState<Version | null>(null)
  const [draft, setDraft] = useState<Draft | null>(null)
  const chosen = zones.data?.find((zone) => zone.id === chosenId) ?? null
  const refresh = () => queries.invalidateQueries({ queryKey: ['zones'] })
  const trial = useTrial()
  function choose(id: string | null) {
    setVersion(null)
    setAddress(id === null ? {} : { zone: id }, { replace: true })
  }
  const save = useMutation({
    mutationFn: ({ zone, tag, body }: { zone: Zone | null; tag: string | null; body: object }) =>
      zone === null
        ? data(api.POST('/v1/zones', { body: body as Schemas['NewZone'] }))
        : data(
            api.PATCH('/v1/zones/{id}', {
              params: { path: { id: zone.id }, header: tag === null ? {} : { 'If-Match': tag } },
              body: body as Schemas['ZoneChange'],
            }),
          ),
    onSuccess: (saved) => {
      setDraft(null)
      choose(saved.id)
      return refresh()
    },
  })
  const remove = useMutation({
    mutationFn: (id: string) => data(api.DELETE('/v1/zones/{id}', { params: { path: { id } } })),
    onSuccess: () => {
      choose(null)
      return refresh()
    },
  })
  const change = useMutation({
    mutationFn: async (id: string) => {
      const answer = await api.GET('/v1/zones/{id}', { params: { path: { id } } })
      const zone = (await data(Promise.resolve(answer))) as unknown as Zone
      return { zone, tag: answer.response.headers.get('ETag') }
    },
    onSuccess: ({ zone, tag }) => begin({ zone, tag, facts: factsOf(zone), shape: drawnShapeOf(zone) }),
  })

  function begin(begun: Draft | null) {
    save.reset()
    setVersion(null)
    redraft(begun)
  }

  /** What a trial found was about what there was before. */
  function redraft(changed: Draft | null | ((old: Draft | null) => Draft | null)) {
    trial.reset()
    setDraft(changed)
  }

  const body = draft === null ? null : bodyOfDraft(draft)
  const whole = draft !== null && areNumbers(draft.facts) ? body : null
  const verdict = useValidation(whole?.name === '' ? null : whole)
  const problem = zones.error ?? save.error ?? remove.error ?? change.error ?? trial.error
  return (
    <div className={isFailed ? 'map-page without-map zones-page' : 'map-page zones-page'}>
      <section className="side history" aria-label={say('zones')}>
        <h1>{say('zones')}</h1>
        {draft !== null ? (
          <ZoneForm
            hint={say(hintOf(draft))}
            facts={draft.facts}
            shape={draft.shape}
            verdict={verdict}
            isSaving={save.isPending}
            onFacts={(facts) => redraft({ ...draft, facts })}
            onShape={(shape) => redraft({ ...draft, shape })}
            onSave={() => whole && save.mutate({ zone: draft.zone, tag: draft.tag, body: bodyToSave(draft, whole) })}
            onCancel={() => begin(null)}
            onTry={() => whole && trial.mutate(whole)}
            isTrying={trial.isPending}
          />
        ) : chosen !== null ? (
          <ZonePanel
            key={chosen.id}
            zone={chosen}
            version={version}
            onVersion={setVersion}
            onChange={() => change.mutate(chosen.id)}
            onRemove={() => remove.mutate(chosen.id)}
            onBack={() => choose(null)}
          />
        ) : (
          <>
            {mayChange && !isFailed && (
              <div className="row" role="group" aria-label={say('draw')}>
                {MODES.map((mode) => (
                  <Button key={mode} onPress={() => begin(newDraft(mode))}>{say(`draw-${mode}`)}</Button>
                ))}
              </div>
            )}
            {zones.data?.length === 0 && <Note kind="plain">{say('no-zones')}</Note>}
            <ZoneList zones={zones.data ?? NO_ZONES} onChoose={choose} />
            <div className="row">
              {mayChange && <Link className="button" to="/zones/import">{say('import')}</Link>}
              {zones.data !== undefined && zones.data.length > 0 && <ExportButtons />}
            </div>
          </>
        )}
        {problem && <ProblemNote problem={problemOf(problem)} />}
        {draft !== null && trial.data && <Trial found={trial.data} />}
      </section>
      {isFailed ? (
        <Note kind="plain">{say('no-webgl')}</Note>
      ) : (
        <ZoneMap
          label={say('map')}
          zones={zones.data ?? NO_ZONES}
          chosen={chosen}
          task={taskOf(draft)}
          preview={draft === null ? version : body === null ? null : (body as unknown as Outline)}
          onDrawn={(drawn) => redraft((old) => old && { ...old, shape: { ...old.shape, drawn } })}
          onChoose={choose}
          onFailed={() => setIsFailed(true)}
        />
      )}
    </div>
  )
}

function ZoneList(props: { zones: readonly Zone[]; onChoose: (id: string) => void }) {
  const say = useSay()
  return (
    <ul className="visits" aria-label={say('zones')}>
      {props.zones.map((zone) => (
        <li key={zone.id}>
          <button type="button" onClick={() => props.onChoose(zone.id)}>
            <b dir="auto">{zone.name}</b>
            <span className="small">{say(`kind-${zone.kind}`)}</span>
          </button>
        </li>
      ))}
    </ul>
  )
}

function newDraft(mode: Mode): Draft {
  return { zone: null, tag: null, facts: factsOf(null), shape: { mode, drawn: null, metres: DEFAULT_METRES[mode] } }
}

function hintOf({ zone, shape }: Draft): string {
  return shape.mode === null ? 'not-drawable' : zone === null ? `draw-${shape.mode}-hint` : 'change-hint'
}

/** The shape of a zone that is to be changed. */
function drawnShapeOf(zone: Zone): DrawnShape {
  const drawn = zone.geometry as unknown as Drawn
  const mode = isDrawable(zone) ? (drawn.type.toLowerCase() as Mode) : null
  return { mode, drawn, metres: String(zone.radius_m ?? zone.width_m ?? '') }
}

function isDrawable(zone: Zone): boolean {
  const { type, coordinates } = zone.geometry as unknown as { type: string; coordinates: unknown[] }
  return type !== 'MultiPolygon' && !(type === 'Polygon' && coordinates.length > 1)
}

function taskOf(draft: Draft | null): Task | null {
  if (draft === null || draft.shape.mode === null) return null
  const { zone, shape } = draft
  return zone === null
    ? { key: `new ${shape.mode}`, mode: draft.shape.mode }
    : { key: zone.id, shape: zone.geometry as unknown as Drawn }
}

/** The zone as it is drawn and typed; null where it has no whole shape. */
function bodyOfDraft({ zone, shape, facts }: Draft): NewZone | null {
  const { drawn, mode, metres } = shape
  const isMeasured = mode === 'point' || mode === 'linestring'
  if (drawn === null || (isMeasured && !(numberOf(metres) > 0))) return null
  return {
    ...bodyOf(facts, zone),
    geometry: drawn,
    radius_m: mode === 'point' ? numberOf(metres) : null,
    width_m: mode === 'linestring' ? numberOf(metres) : null,
  } as NewZone
}

/** A shape that is as it was is not sent: it would be rounded as it was drawn. */
function bodyToSave({ zone, shape }: Draft, body: NewZone): object {
  const before = zone === null ? null : drawnShapeOf(zone)
  if (before === null || shape.drawn !== before.drawn || shape.metres !== before.metres) return body
  const { geometry: _, radius_m: __, width_m: ___, ...facts } = body
  return facts
}
