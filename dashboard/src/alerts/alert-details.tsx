import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { useAlert, useChange } from './alerts'

const AROUND_MS = 30 * 60_000
const MOST_REMARK = 2_000

/** The page of the history that shows an asset around a moment. */
export function historyAt(assetId: string, time: string): string {
  const at = Date.parse(time)
  return `/history?asset=${assetId}&from=${at - AROUND_MS}&to=${at + AROUND_MS}&at=${at}`
}

/** What is known of one alert: its stay, what was done with it and said of it. */
export function AlertDetails(props: { id: string }) {
  const say = useSay()
  const language = useLanguage()
  const mayChange = useHasRole('dispatcher')
  const isAdmin = useHasRole('admin')
  const { data: alert, error } = useAlert(props.id)
  const change = useChange()
  if (error && !alert) return <div className="more"><ProblemNote problem={problemOf(error)} /></div>
  if (!alert) return <p className="more waiting">{say('loading')}</p>
  return (
    <div className="more">
      <dl className="facts">
        <dt>{say('from')}</dt>
        <dd>{timeText(language, alert.occurred_at, 'second')}</dd>
        {alert.visit_id !== null && (
          <>
            <dt>{say('to')}</dt>
            <dd>{alert.left_at === null ? say('still-there') : timeText(language, alert.left_at, 'second')}</dd>
          </>
        )}
      </dl>
      <Link to={historyAt(alert.asset_id, alert.occurred_at)}>{say('at-that-moment')}</Link>
      <ol className="log" aria-label={say('log')}>
        {alert.log.map((entry, place) => <Entry key={place} entry={entry} />)}
      </ol>
      {change.error && <ProblemNote problem={problemOf(change.error)} />}
      {isAdmin && alert.state !== 'resolved' && <Assign alert={alert} onChoose={(id) => change.mutate({ alert, assigned_to: id })} />}
      {mayChange && (
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault()
            const form = event.currentTarget
            const text = String(new FormData(form).get('text')).trim()
            if (text !== '') change.mutate({ alert, text }, { onSuccess: () => form.reset() })
          }}
        >
          <TextInput name="text" label={say('remark')} maxLength={MOST_REMARK} />
          <Button type="submit">{say('write')}</Button>
        </form>
      )}
    </div>
  )
}

function Entry(props: { entry: Schemas['LogEntryItem'] }) {
  const say = useSay()
  const language = useLanguage()
  const { at, user_id, user_name, state, text } = props.entry
  return (
    <li>
      <span className="small">
        <time dateTime={at}>{timeText(language, at, 'second')}</time> · <b dir="auto">{user_id === null ? say('by-itself') : user_name}</b> · {say(`log-${state}`)}
      </span>
      {text !== null && <p dir="auto">{text}</p>}
    </li>
  )
}

/** Only admins may see who there is. */
function Assign(props: { alert: Schemas['AlertWithLog']; onChoose: (id: string | null) => void }) {
  const say = useSay()
  const { assigned_to, assignee_name } = props.alert
  const users = useQuery({
    queryKey: ['users', 'active'],
    queryFn: () => data(api.GET('/v1/users', { params: { query: { active: true, limit: 1_000, total: 'none' } } })),
  })
  const people = (users.data?.data ?? [])
    .filter(({ role, id }) => (role === 'dispatcher' || role === 'admin') && id !== assigned_to)
    .map(({ id, name, email }) => ({ id, name: name ?? email }))
  if (assigned_to !== null) people.unshift({ id: assigned_to, name: assignee_name ?? assigned_to })
  return (
    <Choice
      label={say('assigned-to')}
      value={assigned_to ?? ''}
      values={['', ...people.map(({ id }) => id)]}
      texts={[say('nobody'), ...people.map(({ name }) => name)]}
      onChoose={(id) => props.onChoose(id === '' ? null : id)}
    />
  )
}
