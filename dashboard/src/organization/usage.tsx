import { useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { ProblemNote } from '../ui/forms'
import { everyHour, HOUR_MS, HourChart } from '../ui/hour-chart'
import { Table, type Column } from '../ui/table'

const LOOK_AGAIN_MS = 30_000
const DAY_MS = 24 * HOUR_MS
const NEARLY_FULL = 0.9
type Quota = Schemas['QuotaItem']

/** The plan, the requests of programs in the last 24 hours, and how much there is of everything. */
export function Usage() {
  const say = useSay()
  const language = useLanguage()
  const numbers = new Intl.NumberFormat(language)
  const usage = useQuery({
    queryKey: ['usage'],
    queryFn: () => data(api.GET('/v1/organization/usage')),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const found = usage.data
  const columns: Column<Quota & { id: string }>[] = [
    { title: 'quota', cell: (each) => say(`quota-${each.id.replaceAll('_', '-')}`) },
    {
      title: 'used',
      cell: (each) => (
        <div className="used">
          <span>{say('used-of-limit', { used: amount(each, each.used, numbers, language), limit: amount(each, each.limit, numbers, language) })}</span>
          <Bar label={say('used')} share={shareOf(each)} />
        </div>
      ),
    },
  ]
  return (
    <section id="plan-and-usage" className="card" aria-label={say('plan-and-usage')}>
      <h2>{say('plan-and-usage')}</h2>
      {usage.error && <ProblemNote problem={problemOf(usage.error)} />}
      {found && (
        <>
          <dl className="facts">
            <dt>{say('plan')}</dt>
            <dd>{say(`plan-${found.plan}`)}</dd>
            <dt>{say('programs')}</dt>
            <dd>{say(found.api_access ? 'programs-may' : 'programs-may-not')}</dd>
            <dt>{say('requests-per-minute')}</dt>
            <dd>
              {found.requests_per_minute === null ? say('no-limit') : numbers.format(found.requests_per_minute)}
              {found.minute && ` · ${say('left-of-minute', { count: numbers.format(found.minute.remaining) })}`}
            </dd>
          </dl>
          <h3>{say('requests-of-programs')}</h3>
          <Requests periods={found.data} />
          <h3>{say('quotas')}</h3>
          <p className="small">{say('quotas-hint')}</p>
        </>
      )}
      {!usage.error && (
        <Table
          label={say('quotas')}
          columns={columns}
          rows={found?.quotas.map((each) => ({ ...each, id: each.quota })).sort((one, other) => shareOf(other) - shareOf(one))}
          empty={say('none-found')}
        />
      )}
    </section>
  )
}

function shareOf({ used, limit }: Quota): number {
  return limit === 0 ? 1 : used / limit
}

function amount(quota: Quota, count: number, numbers: Intl.NumberFormat, language: string): string {
  if (quota.quota !== 'attachment_bytes') return numbers.format(count)
  const style = { style: 'unit', unit: 'megabyte', maximumFractionDigits: 1 } as const
  return new Intl.NumberFormat(language, style).format(count / 1e6)
}

function Requests(props: { periods: Schemas['UsageItem']['data'] }) {
  const say = useSay()
  const language = useLanguage()
  const now = Date.now()
  const known = props.periods.map((each) => ({ at: Date.parse(each.start), good: each.requests, bad: each.refused }))
  const requests = props.periods.reduce((sum, each) => sum + each.requests, 0)
  const refused = props.periods.reduce((sum, each) => sum + each.refused, 0)
  const text = say('requests-and-refused', { requests, refused })
  return (
    <>
      <p>{text}</p>
      <HourChart
        label={text}
        hours={everyHour(known, now - DAY_MS, now)}
        titleOf={({ at, good, bad }) =>
          `${timeText(language, new Date(at).toISOString())}: ${say('requests-and-refused', { requests: good, refused: bad })}`
        }
      />
    </>
  )
}

/** How full something is. */
function Bar(props: { label: string; share: number }) {
  const share = Math.min(props.share, 1)
  const percent = Math.round(share * 100)
  return (
    <svg className={share >= NEARLY_FULL ? 'share full' : 'share'} viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label={`${props.label}: ${percent} %`}>
      <rect width={share * 100} height="1" />
    </svg>
  )
}
