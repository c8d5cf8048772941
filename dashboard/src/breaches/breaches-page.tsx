import { useState } from 'react'
import { Link } from 'react-router'
import { historyAt } from '../alerts/alert-details'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { lengthText } from '../texts/display'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, Note, ProblemNote } from '../ui/forms'
import { useBreaches, type Breach } from './breaches'
import { EventDeliveries } from './event-deliveries'

/** What happened at zones, newest first. It grows by itself. */
export function BreachesPage() {
  const say = useSay()
  const breaches = useBreaches()
  return (
    <div className="page">
      <h1>{say('breaches')}</h1>
      {breaches.error && <ProblemNote problem={problemOf(breaches.error)} />}
      {breaches.data?.length === 0 && <Note kind="plain">{say('no-breaches')}</Note>}
      <ol className="feed" aria-label={say('breaches')}>
        {breaches.data?.map((breach) => <BreachRow key={breach.id} breach={breach} />)}
      </ol>
      {breaches.hasNextPage && (
        <Button onPress={() => void breaches.fetchNextPage()} isPending={breaches.isFetchingNextPage}>
          {say('older')}
        </Button>
      )}
    </div>
  )
}

function BreachRow(props: { breach: Breach }) {
  const say = useSay()
  const language = useLanguage()
  const isAdmin = useHasRole('admin')
  const [isOpen, setIsOpen] = useState(false)
  const { data, id, type } = props.breach
  const name = type === 'asset.overspeed' ? 'breach-overspeed' : `breach-${data.transition}`
  const marks = [
    ...(data.late ? ['mark-late'] : []),
    ...(data.inferred === null || data.inferred === undefined ? [] : [`mark-${data.inferred}`]),
    ...(data.cause === 'initial' ? ['mark-initial'] : []),
    ...(data.cause === 'schedule_started' ? ['mark-schedule'] : []),
  ]
  return (
    <li>
      <span className={`edge ${data.zone_kind}`} aria-hidden="true" />
      <span className="what">
        <b dir="auto">{data.asset_name}</b> {say(name)} <b dir="auto">{data.zone_name}</b>
      </span>
      <span className="small">
        <time dateTime={data.occurred_at}>{timeText(language, data.occurred_at, 'second')}</time>
        {typeof data.accuracy_m === 'number' && ` · ${say('accuracy', { length: lengthText(data.accuracy_m) })}`}
        {marks.map((each) => <span key={each} className="tag">{say(each)}</span>)}
      </span>
      <span className="actions">
        <Link to={`/?asset=${data.asset_id}`}>{say('on-the-map')}</Link>
        <Link to={historyAt(data.asset_id, data.occurred_at)}>{say('at-that-moment')}</Link>
        {isAdmin && <Button aria-expanded={isOpen} onPress={() => setIsOpen(!isOpen)}>{say('deliveries')}</Button>}
      </span>
      {isOpen && <EventDeliveries event={id} />}
    </li>
  )
}
