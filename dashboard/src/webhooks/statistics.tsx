import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { ProblemNote } from '../ui/forms'
import { everyHour, HOUR_MS, HourChart } from '../ui/hour-chart'

const DAYS = ['1', '7', '30'] as const
const DAY_MS = 24 * HOUR_MS
const LOOK_AGAIN_MS = 30_000

/** How an endpoint answered, by the hour, and what waits for it. */
export function Statistics(props: { id: string }) {
  const say = useSay()
  const language = useLanguage()
  const [days, setDays] = useState<(typeof DAYS)[number]>('1')
  const statistics = useQuery({
    queryKey: ['endpoint-statistics', props.id, days],
    queryFn: async () => {
      const to = Date.now()
      const from = to - Number(days) * DAY_MS
      const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
      const params = { path: { id: props.id }, query }
      return { from, to, ...(await data(api.GET('/v1/webhook-endpoints/{id}/statistics', { params }))) }
    },
    refetchInterval: LOOK_AGAIN_MS,
  })
  const found = statistics.data
  const percent = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 })
  const ms = (value: number | null) => (value === null ? '–' : `${Math.round(value)} ms`)
  return (
    <section className="card" aria-label={say('statistics')}>
      <div className="row line">
        <h2>{say('statistics')}</h2>
        <Choice
          label={say('span')}
          isLabelSeen={false}
          value={days}
          values={DAYS}
          texts={DAYS.map((each) => say('last-days', { count: Number(each) }))}
          onChoose={setDays}
        />
      </div>
      {statistics.error && <ProblemNote problem={problemOf(statistics.error)} />}
      {found && (
        <>
          <HourChart
            label={say('accepted-and-failed', { accepted: found.accepted, failed: found.attempts - found.accepted })}
            hours={everyHour(
              found.hours.map((each) => ({ at: Date.parse(each.hour), good: each.accepted, bad: each.attempts - each.accepted })),
              found.from,
              found.to,
            )}
            titleOf={({ at, good, bad }) =>
              `${timeText(language, new Date(at).toISOString())}: ${say('accepted-and-failed', { accepted: good, failed: bad })}`
            }
          />
          <dl className="facts">
            <dt>{say('attempts')}</dt>
            <dd>{say('accepted-and-failed', { accepted: found.accepted, failed: found.attempts - found.accepted })}</dd>
            <dt>{say('success-rate')}</dt>
            <dd>{found.success_rate === null ? '–' : percent.format(found.success_rate)}</dd>
            <dt>{say('half-answered')}</dt>
            <dd>{ms(found.p50_ms)}</dd>
            <dt>{say('nearly-all-answered')}</dt>
            <dd>{ms(found.p99_ms)}</dd>
            <dt>{say('waiting-deliveries')}</dt>
            <dd>
              {found.pending}
              {found.oldest_due_at !== null && ` · ${say('due-since', { time: timeText(language, found.oldest_due_at) })}`}
            </dd>
          </dl>
        </>
      )}
    </section>
  )
}
