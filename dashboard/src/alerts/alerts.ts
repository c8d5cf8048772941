/** Alerts, newest first, and what is done with them. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, data, ifMatch, tagged, type Schemas } from '../api/client'
import { Problem } from '../api/problem'

export type Alert = Schemas['AlertItem']
export type Change = Partial<Schemas['AlertChange']>
export const VIEWS = ['open', 'mine', 'resolved'] as const
export type View = (typeof VIEWS)[number]

export const ALERTS = ['alerts']
const PAGE = 50
const LOOK_AGAIN_MS = 15_000 // nobody tells of what other people do

/** The alerts of a view. userId: of whoever looks. */
export function useAlerts(view: View, userId: string) {
  return useInfiniteQuery({
    queryKey: [...ALERTS, view, userId],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) => {
      const mine = view === 'mine' ? { assigned_to: userId } : {}
      const place = pageParam === null ? {} : { cursor: pageParam }
      const query = { open: view !== 'resolved', limit: PAGE, total: 'none' as const, ...mine, ...place }
      return data(api.GET('/v1/alerts', { params: { query } }))
    },
    getNextPageParam: (page) => page.next_cursor,
    select: ({ pages }) => [...new Map(pages.flatMap((page) => page.data).map((alert) => [alert.id, alert])).values()],
    refetchInterval: LOOK_AGAIN_MS,
  })
}

/** One alert with its log. */
export function useAlert(id: string) {
  return useQuery({
    queryKey: [...ALERTS, id],
    queryFn: () => data(api.GET('/v1/alerts/{id}', { params: { path: { id } } })),
    refetchInterval: LOOK_AGAIN_MS,
  })
}

/** Changes an alert as it was shown: what somebody else has done meanwhile is not undone. */
export function useChange() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: async ({ alert, ...body }: Change & { alert: Alert }) => {
      const path = { id: alert.id }
      const now = await tagged(api.GET('/v1/alerts/{id}', { params: { path } }))
      if (now.item.updated_at !== alert.updated_at) {
        throw new Problem({ status: 412, code: 'alert_changed', detail: '' })
      }
      const params = { path, header: ifMatch(now.tag) }
      return data(api.PATCH('/v1/alerts/{id}', { params, body: body as Schemas['AlertChange'] }))
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ALERTS }),
  })
}
