import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState, type FormEvent } from 'react'
import { Form } from 'react-aria-components'
import { api, data, ifMatch, tagged, type Schemas } from '../api/client'
import { faultsOf, Problem, problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, Check, Note, ProblemNote, TextInput } from '../ui/forms'
import { EndpointFilters, type Filters } from './endpoint-filters'
import { ENDPOINTS, type Endpoint } from './endpoints-page'
import { headersOf } from './headers'
import { EVERYTHING, groupOf, simplest, typeText } from './types'
import { useEventTypes } from './use-event-types'

const FORM = ['endpoint-form']
const FIELDS = ['url', 'description', 'headers']
type Change = Schemas['EndpointChange']

/** What the form shows of an endpoint. The rest of it changes by itself. */
function shownOf({ url, types, description, ordered, payload, headers, asset_ids, zone_ids }: Endpoint) {
  return { url, types, description, ordered, payload, headers, asset_ids, zone_ids }
}

/** What an endpoint gets and how, as it was when the form was opened or last saved. */
export function EndpointForm(props: { id: string }) {
  const path = { id: props.id }
  const seen = useQuery({
    queryKey: [...FORM, props.id],
    queryFn: () => data(api.GET('/v1/webhook-endpoints/{id}', { params: { path } })),
    staleTime: Infinity,
    gcTime: 0,
  })
  return seen.data ? <Fields seen={seen.data} /> : null
}

function Fields({ seen }: { seen: Endpoint }) {
  const say = useSay()
  const queries = useQueryClient()
  const path = { id: seen.id }
  const [types, setTypes] = useState<ReadonlySet<string>>(new Set(seen.types))
  const [isOrdered, setIsOrdered] = useState(seen.ordered)
  const [headersText, setHeadersText] = useState('')
  const [isBad, setIsBad] = useState(false) // that text
  const [filters, setFilters] = useState<Filters>({ asset_ids: seen.asset_ids, zone_ids: seen.zone_ids })
  const [isThin, setIsThin] = useState(seen.payload === 'thin')
  const save = useMutation({
    mutationFn: async (body: Partial<Change>) => {
      const now = await tagged(api.GET('/v1/webhook-endpoints/{id}', { params: { path } }))
      if (JSON.stringify(shownOf(now.item)) !== JSON.stringify(shownOf(seen))) {
        throw new Problem({ status: 412, code: 'precondition_failed', detail: '' })
      }
      const params = { path, header: ifMatch(now.tag) }
      return data(api.PATCH('/v1/webhook-endpoints/{id}', { params, body: body as Change }))
    },
    onSuccess: (saved) => {
      setHeadersText('') // their values are never shown again
      queries.setQueryData([...FORM, seen.id], saved)
      return queries.invalidateQueries({ queryKey: ENDPOINTS })
    },
  })
  const problem = useMemo(() => (save.error === null ? null : problemOf(save.error)), [save.error])
  const faults = useMemo(
    () => ({ ...faultsOf(problem), ...(isBad ? { headers: say('headers-wanted') } : {}) }),
    [isBad, problem, say],
  )

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const given = new FormData(event.currentTarget)
    const description = String(given.get('description'))
    const headers = headersOf(headersText)
    setIsBad(headers === null)
    if (headers === null) return
    const isReplaced = Object.keys(headers).length > 0 || given.has('without-headers')
    save.mutate({
      url: String(given.get('url')),
      description: description === '' ? null : description,
      types: simplest(types) as NonNullable<Change['types']>,
      ordered: isOrdered,
      payload: isThin ? 'thin' : 'full',
      ...filters,
      ...(isReplaced ? { headers } : {}),
    })
  }

  const names = Object.keys(seen.headers)
  const change = (set: () => void) => {
    set()
    if (!save.isPending) save.reset()
  }
  return (
    <section className="card" aria-label={say('what-it-gets')}>
      <h2>{say('what-it-gets')}</h2>
      <Form onSubmit={submit} validationErrors={faults} className="stack">
        <div className="fields">
          <TextInput name="url" type="url" label={say('address')} hint={say('address-hint')} defaultValue={seen.url} isRequired maxLength={2000} />
          <TextInput name="description" label={say('description')} hint={say('description-hint')} defaultValue={seen.description ?? ''} maxLength={500} />
          <TextInput
            name="headers"
            lines={3}
            value={headersText}
            onChange={(text) => change(() => setHeadersText(text))}
            label={say('headers')}
            hint={say(names.length === 0 ? 'headers-hint' : 'headers-stay', { names: names.join(', ') })}
          />
        </div>
        {names.length > 0 && <Check name="without-headers" label={say('without-headers')} hint={say('without-headers-hint')} isChecked={false} />}
        <Check
          label={say('ordered')}
          hint={say('ordered-hint')}
          isChecked={isOrdered}
          onChange={(is) => change(() => setIsOrdered(is))}
        />
        <Check label={say('thin')} hint={say('thin-hint')} isChecked={isThin} onChange={(is) => change(() => setIsThin(is))} />
        <TypeChoice types={types} onChange={(types) => change(() => setTypes(types))} />
        <EndpointFilters
          filters={filters}
          others={seen.client_ids.length > 0 || seen.tags.length > 0}
          onChange={(filters) => change(() => setFilters(filters))}
        />
        {problem && <ProblemNote problem={problem} fields={FIELDS} />}
        {save.isSuccess && <Note kind="good">{say('saved')}</Note>}
        <div className="row">
          <Button type="submit" look="main" isPending={save.isPending} isDisabled={types.size === 0}>{say('save')}</Button>
        </div>
      </Form>
    </section>
  )
}

/** Types of events to be chosen: all, a group, or one by one. */
function TypeChoice(props: { types: ReadonlySet<string>; onChange: (types: ReadonlySet<string>) => void }) {
  const say = useSay()
  const catalogue = useEventTypes()
  const { types } = props
  const known = catalogue.data?.data ?? []
  const groups = [...new Set(known.map(({ type }) => groupOf(type)))]
  const hasAll = types.has(EVERYTHING)
  const set = (pattern: string, isChosen: boolean) => {
    const changed = new Set(types)
    if (isChosen) changed.add(pattern)
    else changed.delete(pattern)
    props.onChange(changed)
  }
  return (
    <>
      <h3>{say('event-types')}</h3>
      {catalogue.error && <ProblemNote problem={problemOf(catalogue.error)} />}
      <Check
        label={say('all-types')}
        hint={say('all-types-hint')}
        isChecked={hasAll}
        onChange={(is) => set(EVERYTHING, is)}
      />
      {!hasAll &&
        groups.map((group) => {
          const hasGroup = types.has(group)
          return (
            <div key={group} className="types" role="group" aria-label={group}>
              <Check label={group} hint={say('group-hint')} isChecked={hasGroup} onChange={(is) => set(group, is)} />
              {!hasGroup &&
                known
                  .filter(({ type }) => groupOf(type) === group)
                  .map(({ type }) => (
                    <Check key={type} label={type} hint={say(typeText(type))} isChecked={types.has(type)} onChange={(is) => set(type, is)} />
                  ))}
            </div>
          )
        })}
    </>
  )
}
