import { useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { ProblemNote } from '../ui/forms'
import { Table, type Column } from '../ui/table'

const LOOK_AGAIN_MS = 5_000
type Attempt = Schemas['AttemptItem']

/** What was answered to each attempt at a delivery, the newest first. */
export function Attempts(props: { delivery: string }) {
  const say = useSay()
  const language = useLanguage()
  const found = useQuery({
    queryKey: ['delivery', props.delivery],
    queryFn: () => data(api.GET('/v1/webhook-deliveries/{id}', { params: { path: { id: props.delivery } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const columns: Column<Attempt & { id: string }>[] = [
    { title: 'attempted', cell: (each) => timeText(language, each.attempted_at, 'second') },
    { title: 'answer', cell: (each) => each.status ?? each.error ?? '' },
    { title: 'duration', cell: (each) => (each.duration_ms === null ? '' : `${each.duration_ms} ms`) },
    { title: 'answer-text', cell: (each) => <code className="answer">{each.response_body}</code> },
  ]
  const rows = found.data?.attempts.map((each) => ({ ...each, id: each.attempted_at }))
  return (
    <section className="stack" aria-label={say('attempts')}>
      <h2>{say('attempts')}</h2>
      {found.error && <ProblemNote problem={problemOf(found.error)} />}
      {!found.error && <Table label={say('attempts')} columns={columns} rows={rows} empty={say('no-attempts')} />}
    </section>
  )
}
