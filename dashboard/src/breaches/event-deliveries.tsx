import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { ProblemNote } from '../ui/forms'
import { ENDPOINTS } from '../webhooks/endpoints-page'

const MOST = 100
const LOOK_AGAIN_MS = 5_000

/** What became of an event at each webhook endpoint. */
export function EventDeliveries(props: { event: string }) {
  const say = useSay()
  const deliveries = useQuery({
    queryKey: ['deliveries', 'of', props.event],
    queryFn: () => data(api.GET('/v1/webhook-deliveries', { params: { query: { event_id: props.event, limit: MOST, total: 'none' } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
  const endpoints = useQuery({
    queryKey: [...ENDPOINTS, 'all'],
    queryFn: () => data(api.GET('/v1/webhook-endpoints', { params: { query: { limit: 1_000, total: 'none' } } })),
  })
  const urls = new Map(endpoints.data?.data.map(({ id, url }) => [id, url]))
  if (deliveries.error) return <div className="more"><ProblemNote problem={problemOf(deliveries.error)} /></div>
  return (
    <ul className="more log" aria-label={say('deliveries')}>
      {deliveries.data?.data.length === 0 && <li className="small">{say('sent-nowhere')}</li>}
      {deliveries.data?.data.map((each) => (
        <li key={each.id}>
          {say(`delivery-${each.state}`)} · <Link to={`/webhooks/${each.endpoint_id}`}>{urls.get(each.endpoint_id) ?? each.endpoint_id}</Link>
        </li>
      ))}
    </ul>
  )
}
