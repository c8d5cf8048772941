import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, type FormEvent } from 'react'
import { useSearchParams } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'
import { MODES, type Drawn, type Mode } from './drawing'
import { ZONE_KINDS, type Zone, type ZoneKind } from './shapes'
import { useZones } from './use-zones'
import { ZoneMap, type Task } from './zone-map'

const DEFAULT_RADIUS_M = 100
const DEFAULT_WIDTH_M = 20
const NO_ZONES: readonly Zone[] = []

/** What is being drawn: a new zone, or another shape and other facts of one that is there. */
interface Draft {
  zone: Zone | null
  /** null: of several parts, or with a hole, which is not drawn here. */
  mode: Mode | null
  drawn: Drawn | null
  metres: number
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
  const setChosenId = (id: string | null) => setAddress(id === null ? {} : { zone: id }, { replace: true })
  const [draft, setDraft] = useState<Draft | null>(null)
  const chosen = zones.data?.find((zone) => zone.id === chosenId) ?? null
  const refresh = () => queries.invalidateQueries({ queryKey: ['zones'] })
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
      setChosenId(saved.id)
      return refresh()
    },
  })
  const remove = useMutation({
    mutationFn: (id: string) => data(api.DELETE('/v1/zones/{id}', { params: { path: { id } } })),
    onSuccess: () => {
      setChosenId(null)
      return refresh()
    },
  })

  function begin(mode: Mode) {
    save.reset()
    setDraft({ zone: null, mode, drawn: null, metres: mode === 'linestring' ? DEFAULT_WIDTH_M : DEFAULT_RADIUS_M, tag: null })
  }

  const change = useMutation({
    mutationFn: async (id: string) => {
      const answer = await api.GET('/v1/zones/{id}', { params: { path: { id } } })
      const zone = (await data(Promise.resolve(answer))) as unknown as Zone
      return { zone, tag: answer.response.headers.get('ETag') }
    },
    onSuccess: ({ zone, tag }) => {
      save.reset()
      const shape = zone.geometry as unknown as Drawn
      const mode = isDrawable(zone) ? (shape.type.toLowerCase() as Mode) : null
      setDraft({ zone, mode, drawn: shape, metres: zone.radius_m ?? zone.width_m ?? 0, tag })
    },
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (draft === null || draft.drawn === null) return
    const given = new FormData(event.currentTarget)
    const facts = { name: String(given.get('name')), kind: String(given.get('kind')) as ZoneKind }
    const body = hasOwnShape(draft) ? { ...facts, ...shapeOf(draft) } : facts
    save.mutate({ zone: draft.zone, tag: draft.tag, body })
  }

  const task: Task | null =
    draft === null || draft.mode === null
      ? null
      : draft.zone === null
        ? { key: `new ${draft.mode}`, mode: draft.mode }
        : { key: draft.zone.id, shape: draft.zone.geometry as unknown as Drawn }
  const problem = zones.error ?? save.error ?? remove.error ?? change.error
  return (
    <div className={isFailed ? 'map-page without-map' : 'map-page'}>
      <section className="side history" aria-label={say('zones')}>
        <h1>{say('zones')}</h1>
        {problem && <ProblemNote problem={problemOf(problem)} />}
        {draft === null ? (
          <>
            {mayChange && !isFailed && (
              <div className="row" role="group" aria-label={say('draw')}>
                {MODES.map((mode) => (
                  <Button key={mode} onPress={() => begin(mode)}>{say(`draw-${mode}`)}</Button>
                ))}
              </div>
            )}
            {chosen && <ChosenZone zone={chosen} onChange={(zone) => change.mutate(zone.id)} onRemove={(id) => remove.mutate(id)} />}
            {zones.data?.length === 0 && <Note kind="plain">{say('no-zones')}</Note>}
            <ul className="visits" aria-label={say('zones')}>
              {zones.data?.map((zone) => (
                <li key={zone.id}>
                  <button type="button" aria-pressed={zone.id === chosenId} onClick={() => setChosenId(zone.id)}>
                    <b dir="auto">{zone.name}</b>
                    <span className="small">{say(`kind-${zone.kind}`)}</span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        ) : (
          <form onSubmit={submit} className="stack">
            <p>{say(draft.mode === null ? 'not-drawable' : draft.zone === null ? `draw-${draft.mode}-hint` : 'change-hint')}</p>
            <TextInput name="name" label={say('name')} defaultValue={draft.zone?.name ?? ''} isRequired maxLength={200} />
            <Choice
              name="kind"
              label={say('kind')}
              value={draft.zone?.kind ?? 'restricted'}
              values={ZONE_KINDS}
              texts={ZONE_KINDS.map((kind) => say(`kind-${kind}`))}
            />
            {(draft.mode === 'point' || draft.mode === 'linestring') && (
              <TextInput
                name="metres"
                type="number"
                label={say(draft.mode === 'point' ? 'radius' : 'width')}
                value={String(draft.metres)}
                onChange={(text) => setDraft({ ...draft, metres: Number(text) })}
                isRequired
              />
            )}
            {draft.mode === 'point' && <Centre drawn={draft.drawn} onChange={(drawn) => setDraft({ ...draft, drawn })} />}
            <div className="row">
              <Button type="submit" look="main" isDisabled={draft.drawn === null} isPending={save.isPending}>{say('save')}</Button>
              <Button onPress={() => setDraft(null)}>{say('cancel')}</Button>
            </div>
          </form>
        )}
      </section>
      {isFailed ? (
        <Note kind="plain">{say('no-webgl')}</Note>
      ) : (
        <ZoneMap
          label={say('map')}
          zones={zones.data ?? NO_ZONES}
          chosen={chosen}
          task={task}
          preview={draft === null || draft.drawn === null ? null : (shapeOf(draft) as Pick<Zone, 'geometry' | 'radius_m' | 'width_m'>)}
          onDrawn={(drawn) => setDraft((old) => old && { ...old, drawn })}
          onChoose={setChosenId}
          onFailed={() => setIsFailed(true)}
        />
      )}
    </div>
  )
}

function isDrawable(zone: Zone): boolean {
  const { type, coordinates } = zone.geometry as unknown as { type: string; coordinates: unknown[] }
  return type !== 'MultiPolygon' && !(type === 'Polygon' && coordinates.length > 1)
}

/** Whether the shape is another one than that of the zone. */
function hasOwnShape({ zone, drawn, metres }: Draft): boolean {
  return zone === null || drawn !== (zone.geometry as unknown) || metres !== (zone.radius_m ?? zone.width_m ?? 0)
}

/** The shape of a draft, as the API takes it. */
function shapeOf({ drawn, mode, metres }: Draft) {
  return {
    geometry: drawn,
    radius_m: mode === 'point' ? metres : null,
    width_m: mode === 'linestring' ? metres : null,
  }
}

/** A centre by numbers, beside the map. */
function Centre(props: { drawn: Drawn | null; onChange: (drawn: Drawn) => void }) {
  const say = useSay()
  const [lon, lat] = props.drawn?.type === 'Point' ? props.drawn.coordinates : []
  const [texts, setTexts] = useState<{ lon: string; lat: string } | null>(null)
  const shown = texts ?? { lon: String(lon ?? ''), lat: String(lat ?? '') }
  useEffect(() => setTexts(null), [lon, lat]) // it was set on the map
  const set = (changes: Partial<typeof shown>) => {
    const next = { ...shown, ...changes }
    setTexts(next)
    if (next.lon.trim() === '' || next.lat.trim() === '') return
    const coordinates = [Number(next.lon), Number(next.lat)]
    if (coordinates.every(Number.isFinite)) props.onChange({ type: 'Point', coordinates })
  }
  return (
    <div className="row">
      <TextInput label={say('latitude')} inputMode="decimal" value={shown.lat} onChange={(text) => set({ lat: text })} />
      <TextInput label={say('longitude')} inputMode="decimal" value={shown.lon} onChange={(text) => set({ lon: text })} />
    </div>
  )
}

function ChosenZone(props: { zone: Zone; onChange: (zone: Zone) => void; onRemove: (id: string) => void }) {
  const say = useSay()
  const mayChange = useHasRole('dispatcher')
  const { zone } = props
  return (
    <Note kind="plain">
      <p><b dir="auto">{zone.name}</b> · {say(`kind-${zone.kind}`)}</p>
      {mayChange && (
        <div className="row">
          <Button onPress={() => props.onChange(zone)}>{say('change')}</Button>
          <Button
            look="danger"
            onPress={() => confirm(say('sure-delete', { name: zone.name })) && props.onRemove(zone.id)}
          >
            {say('delete')}
          </Button>
        </div>
      )}
    </Note>
  )
}
