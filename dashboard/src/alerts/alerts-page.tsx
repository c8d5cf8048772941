import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { problemOf } from '../api/problem'
import { useHasRole, useSession } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, Check, Note, ProblemNote } from '../ui/forms'
import { AlertDetails } from './alert-details'
import { useSoundChoice } from './sound'
import { useAlerts, useChange, VIEWS, type Alert, type Change } from './alerts'

/** What somebody has to look at: open ones, one's own, and what is done. The address keeps which. */
export function AlertsPage() {
  const say = useSay()
  const { userId } = useSession()
  const [address, setAddress] = useSearchParams()
  const view = VIEWS.find((each) => each === address.get('view')) ?? 'open'
  const alerts = useAlerts(view, userId)
  const change = useChange()
  const [hasSound, setHasSound] = useSoundChoice()
  const problem = alerts.error ?? change.error
  return (
    <div className="page">
      <h1>{say('alerts')}</h1>
      <p>{say('alerts-hint')}</p>
      <div className="chips" role="group" aria-label={say('by-state')}>
        {VIEWS.map((each) => (
          <button key={each} type="button" aria-pressed={each === view} onClick={() => setAddress({ view: each })}>
            {say(`alerts-${each}`)}
          </button>
        ))}
      </div>
      <Check label={say('alert-sound')} isChecked={hasSound} onChange={setHasSound} />
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {alerts.data?.length === 0 && <Note kind="plain">{say(`no-alerts-${view}`)}</Note>}
      <ol className="feed" aria-label={say('alerts')}>
        {alerts.data?.map((alert) => (
          <AlertRow key={alert.id} alert={alert} onChange={(changed) => change.mutate({ alert, ...changed })} />
        ))}
      </ol>
      {alerts.hasNextPage && (
        <Button onPress={() => void alerts.fetchNextPage()} isPending={alerts.isFetchingNextPage}>
          {say('older')}
        </Button>
      )}
    </div>
  )
}

/** What says most first: it is the sentence, and the others stand beside it. */
const ORDER = ['schedule_started', 'enter', 'exit', 'overspeed', 'dwell'] as const

function AlertRow(props: { alert: Alert; onChange: (change: Change) => void }) {
  const say = useSay()
  const language = useLanguage()
  const mayChange = useHasRole('dispatcher')
  const [isOpen, setIsOpen] = useState(false)
  const { alert, onChange } = props
  const [first, ...others] = ORDER.filter((word) => alert.told.includes(word))
  return (
    <li>
      <span className={`edge ${alert.zone_kind}`} aria-hidden="true" />
      <span className="what">
        <b dir="auto">{alert.asset_name}</b> {say(`breach-${first!.replace('_', '-')}`)} <b dir="auto">{alert.zone_name}</b>
      </span>
      <span className="small">
        <time dateTime={alert.occurred_at}>{timeText(language, alert.occurred_at, 'second')}</time>
        {others.map((word) => <span key={word} className="tag">{say(`told-${word}`)}</span>)}
        {alert.retracted && <span className="tag">{say('mark-retracted')}</span>}
        <span className={`tag ${alert.state}`}>
          {say(`alert-${alert.state}`, { name: alert.assignee_name ?? '' })}
        </span>
      </span>
      <span className="actions">
        {mayChange && <Actions alert={alert} onChange={onChange} />}
        <Button aria-expanded={isOpen} onPress={() => setIsOpen(!isOpen)}>{say('details')}</Button>
      </span>
      {isOpen && <AlertDetails id={alert.id} />}
    </li>
  )
}

function Actions(props: { alert: Alert; onChange: (change: Change) => void }) {
  const say = useSay()
  const { userId } = useSession()
  const { alert, onChange } = props
  if (alert.state === 'resolved') {
    return alert.retracted ? null : <Button onPress={() => onChange({ state: 'new' })}>{say('open-again')}</Button>
  }
  return (
    <>
      {alert.state === 'new' && (
        <Button look="main" onPress={() => onChange({ state: 'acknowledged' })}>{say('acknowledge')}</Button>
      )}
      {alert.assigned_to !== userId && (
        <Button onPress={() => onChange({ assigned_to: userId })}>{say('take')}</Button>
      )}
      <Button onPress={() => onChange({ state: 'resolved' })}>{say('resolve')}</Button>
    </>
  )
}
