/** What a zone would have told in the last day, had it been there. */
import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api, data, type Schemas } from '../api/client'
import { useAssetNames } from '../live/live'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Note } from '../ui/forms'
import type { NewZone } from './facts'

const DAY_MS = 86_400_000
const NAMELESS = '-'
type Found = Schemas['ZoneTrial']

export function useTrial() {
  return useMutation({
    mutationFn: (zone: NewZone) => {
      const to = new Date()
      const from = new Date(to.getTime() - DAY_MS)
      const body = { ...zone, name: zone.name || NAMELESS, from: from.toISOString(), to: to.toISOString() }
      return data(api.POST('/v1/zones/try', { body: body as Schemas['NewZoneTrial'] }))
    },
  })
}

/** The transitions that were found, the first ones first. */
export function Trial(props: { found: Found }) {
  const say = useSay()
  const language = useLanguage()
  const names = new Map(useAssetNames().map(({ id, name }) => [id, name]))
  const { found } = props
  const { counts } = found
  const place = useRef<HTMLElement>(null)
  useEffect(() => {
    place.current?.scrollIntoView({ block: 'nearest' }) // it stands below a long form
  }, [found])
  return (
    <section ref={place} className="stack" aria-label={say('trial')}>
      <h2>{say('trial')}</h2>
      <Note kind="plain">
        <p>{say('trial-counts', { machines: found.assets.length, fixes: found.fixes })}</p>
        <p>{say('trial-told', { alerts: counts.alerts, enters: counts.enter, passes: counts.pass_through })}</p>
        {found.is_cut && <p>{say('trial-cut')}</p>}
      </Note>
      <ol className="visits" aria-label={say('trial')}>
        {found.data.map((each, place) => (
          <li key={place} className="visit">
            <span><b dir="auto">{names.get(each.asset_id) ?? each.asset_id}</b> {say(`told-${each.transition}`)}</span>
            <span className="small">
              {timeText(language, each.occurred_at, 'second')}
              {each.event_type !== null && <span className="tag">{say('trial-alerts')}</span>}
              {each.inferred === 'segment' && <span className="tag">{say('mark-segment')}</span>}
              {each.cause === 'initial' && <span className="tag">{say('mark-initial')}</span>}
            </span>
          </li>
        ))}
      </ol>
    </section>
  )
}
