import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { ALERTS } from '../alerts/alerts'
import { api, data } from '../api/client'
import { ASSETS } from '../live/live'
import type { LivePosition } from '../live/positions'
import { useSay } from '../texts/texts'
import { Button } from '../ui/forms'

const KEPT = 'first-steps'
const HIDDEN = 'hidden'
const FEW = 3 // machines: whoever has more knows the way

/** The way from nothing to the first alert, in five steps. What is done is marked by itself. */
export function FirstSteps(props: { positions: readonly LivePosition[]; hasZone: boolean }) {
  const say = useSay()
  const [isHidden, setIsHidden] = useState(localStorage.getItem(KEPT) === HIDDEN)
  const { positions } = props
  const { isSuccess: isRead } = useQuery({ queryKey: ASSETS, enabled: false }) // by the live connection
  const isNew = isRead && positions.length <= FEW && !isHidden
  const alerts = useQuery({
    queryKey: [...ALERTS, 'first'],
    queryFn: () => data(api.GET('/v1/alerts', { params: { query: { limit: 1, total: 'none' } } })),
    enabled: isNew,
  })
  const hasPosition = positions.some(({ position }) => position !== null)
  const steps = [
    { name: 'step-machine', place: '/trackers', isDone: positions.length > 0 },
    { name: 'step-device', place: '/trackers', isDone: hasPosition },
    { name: 'step-position', place: null, isDone: hasPosition },
    { name: 'step-zone', place: '/zones', isDone: props.hasZone },
    { name: 'step-alert', place: null, isDone: (alerts.data?.data.length ?? 0) > 0 },
  ]
  const next = steps.find(({ isDone }) => !isDone)
  if (!isNew || alerts.data === undefined || next === undefined) return null
  return (
    <section className="steps" aria-label={say('first-steps')}>
      <h2>{say('first-steps')}</h2>
      <ol>
        {steps.map(({ name, place, isDone }) => (
          <li key={name} className={isDone ? 'done' : undefined} aria-current={name === next.name ? 'step' : undefined}>
            {place === null || isDone ? say(name) : <Link to={place}>{say(name)}</Link>}
            {isDone && <span className="unseen"> {say('step-done')}</span>}
          </li>
        ))}
      </ol>
      <Button
        onPress={() => {
          localStorage.setItem(KEPT, HIDDEN)
          setIsHidden(true)
        }}
      >
        {say('hide')}
      </Button>
    </section>
  )
}
