import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { ProblemNote } from '../ui/forms'
import { Rotation } from '../ui/rotation'
import { SecretNote } from '../ui/table'
import { ENDPOINTS, type Endpoint } from './endpoints-page'

const MOST_OVERLAP_S = 7 * 86_400

/** The secret that signs what an endpoint gets, and another one in its place. */
export function Secret(props: { endpoint: Endpoint }) {
  const say = useSay()
  const language = useLanguage()
  const queries = useQueryClient()
  const { id, previous_secret_until: until } = props.endpoint
  const rotate = useMutation({
    mutationFn: (overlap_s: number) =>
      data(
        api.POST('/v1/webhook-endpoints/{id}/rotate', {
          params: { path: { id } },
          body: { expires_previous_in_s: overlap_s } as { expires_previous_in_s: number; overlap_hours: number },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: ENDPOINTS }),
  })
  return (
    <section className="card" aria-label={say('secret')}>
      <h2>{say('secret')}</h2>
      {until !== null && Date.parse(until) > Date.now() && <p>{say('old-secret-until', { time: timeText(language, until) })}</p>}
      <Rotation
        hint={say('rotate-endpoint-hint')}
        most_s={MOST_OVERLAP_S}
        isPending={rotate.isPending}
        onRotate={(overlap_s) => rotate.mutate(overlap_s)}
      />
      {rotate.data && <SecretNote text={say('secret-shown-once')} secret={rotate.data.secret} />}
      {rotate.error && <ProblemNote problem={problemOf(rotate.error)} />}
    </section>
  )
}
