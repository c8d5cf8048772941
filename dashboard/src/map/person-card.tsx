import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { stateOf, type LivePosition } from '../live/positions'
import { lengthText } from '../texts/display'
import { useSay } from '../texts/texts'
import { ago } from '../texts/times'
import { Button } from '../ui/forms'
import { useNow } from './asset-list'
import { PersonMark, stateName } from './mark'

const NO_BREAK = '\u00a0'

/** The employee who is chosen: when and by which tracker they were last seen. */
export function PersonCard(props: { item: LivePosition; onClose: () => void }) {
  const say = useSay()
  const now = useNow(1_000)
  const { name, position } = props.item
  const id = position?.tracker_id
  const { data: tracker } = useQuery({
    queryKey: ['tracker', id],
    queryFn: () => data(api.GET('/v1/trackers/{id}', { params: { path: { id: id! } } })),
    enabled: id !== undefined,
    staleTime: Infinity,
  })
  if (!position) return null
  const state = stateOf(props.item, now)
  return (
    <section className="person-card" aria-label={say('person')}>
      <h2>
        <PersonMark state={state} />
        <span dir="auto">{name}</span>
      </h2>
      <p>
        {say('last-seen-ago', { ago: ago(say, Date.parse(position.time), now) })} · {say(stateName(props.item.id, state))}
      </p>
      <p>
        {say('tracker')}: <span dir="auto">{tracker?.name ?? id}</span>
        {position.accuracy_m !== null && ` · ${say('accuracy', { length: lengthText(position.accuracy_m) }).replaceAll(' ', NO_BREAK)}`}
      </p>
      <Button onPress={props.onClose}>{say('close')}</Button>
    </section>
  )
}
