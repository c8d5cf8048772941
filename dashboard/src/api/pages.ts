import { useInfiniteQuery } from '@tanstack/react-query'

interface Page<Row> {
  data: Row[]
  next_cursor: string | null
}
/** What of a query says which page is wanted. */
type Place = { limit: number; total: 'none'; cursor?: string }

const ROWS = 50

/** A list of the API page by page, as rows: the next page is read when it is asked for. */
export function usePages<Row>(key: readonly unknown[], read: (place: Place) => Promise<Page<Row>>) {
  return useInfiniteQuery({
    queryKey: key,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) => read({ limit: ROWS, total: 'none', ...(cursor === null ? {} : { cursor }) }),
    getNextPageParam: (page) => page.next_cursor,
    select: ({ pages }) => pages.flatMap(({ data }) => data),
  })
}
