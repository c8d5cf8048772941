/** The newest breaches, dwells and overspeeds: read once, then what the live connection brings. */
import { useInfiniteQuery, type InfiniteData, type QueryClient } from '@tanstack/react-query'
import { ALERTS } from '../alerts/alerts'
import { soundAlert } from '../alerts/sound'
import { api, data, type Schemas } from '../api/client'

export type Breach = Schemas['EventItem'] & { data: Schemas['BreachOrDwell'] }
type Page = { data: Schemas['EventItem'][]; next_cursor: string | null }

const KEY = ['breaches']
const TYPES: readonly string[] = ['asset.geofence_breach', 'asset.geofence_dwell', 'asset.overspeed']
const AMENDED = 'asset.visit_amended' // an alert follows its visit
const REFRESH_MS = 1_000
const PAGE = 50
const MOST_LIVE = 500 // of the first page

export function useBreaches() {
  return useInfiniteQuery({
    queryKey: KEY,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }): Promise<Page> => {
      const query = { types: TYPES.join(','), limit: PAGE, total: 'none' as const }
      const place = pageParam === null ? {} : { cursor: pageParam }
      return data(api.GET('/v1/events', { params: { query: { ...query, ...place } } }))
    },
    getNextPageParam: (page) => page.next_cursor,
    select: ({ pages }) => once(pages.flatMap((page) => page.data)),
    staleTime: Infinity, // the live connection brings what is new
  })
}

/** Each event once: one that came live is on the next page that is read, too. */
function once(events: readonly Schemas['EventItem'][]): Breach[] {
  return [...new Map(events.map((event) => [event.id, event as Breach])).values()]
}

let isRefreshing = false

/** Read alerts again soon: once, however many events come meanwhile. */
function refreshAlerts(queries: QueryClient): void {
  if (isRefreshing) return
  isRefreshing = true
  setTimeout(() => {
    isRefreshing = false
    void queries.invalidateQueries({ queryKey: ALERTS }, { cancelRefetch: false })
  }, REFRESH_MS)
}

/** Take an event of the live connection. */
export function takeEvent(queries: QueryClient, event: Schemas['EventItem']): void {
  if (TYPES.includes(event.type) || event.type === AMENDED) refreshAlerts(queries)
  if (TYPES.includes(event.type)) {
    soundAlert()
    const known = queries.getQueryData<InfiniteData<Page>>(KEY)
    if (queries.isFetching({ queryKey: KEY }) > 0) {
      void queries.invalidateQueries({ queryKey: KEY }) // the answer may be older than the event
      return
    }
    if ((known?.pages[0]?.data.length ?? 0) >= MOST_LIVE) {
      void queries.resetQueries({ queryKey: KEY }) // a page that is open for weeks
      return
    }
    queries.setQueryData<InfiniteData<Page>>(KEY, (known) => {
      const [first, ...others] = known?.pages ?? []
      if (!known || !first) return known
      return { ...known, pages: [{ ...first, data: [event, ...first.data] }, ...others] }
    })
  }
}
