import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'

const MOST = 1_000 // of a page

/** The catalogue: each type of event with an example. */
export function useEventTypes() {
  return useQuery({
    queryKey: ['event-types'],
    queryFn: () => data(api.GET('/v1/event-types', { params: { query: { limit: MOST } } })),
    staleTime: Infinity,
  })
}
