import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from 'react'
import { api, data, type Schemas } from '../api/client'
import { takeEvent } from '../breaches/breaches'
import { SESSION, useSignIn } from '../session/session'
import { SHOWS_PEOPLE, useShowsPeople } from './people'
import { PositionStore, type AssetName, type LivePosition, type StatedPosition } from './positions'
import { LiveSocket, type ConnectionState } from './socket'

export interface Connection {
  state: ConnectionState
  /** Why it was lost or ended, as the close says. */
  code: string
  hurry: () => void
}

/** The key of all assets: what makes one, or deletes one, has them read again. */
export const ASSETS = ['assets']
/** The key of all employees, likewise. */
const PEOPLE = ['people']
const PAGE = 1_000
const MOST_ASSETS = 20_000
const CONNECTING: Connection = { state: 'connecting', code: '', hurry: () => {} }
const store = new PositionStore()
const peopleStore = new PositionStore()
const ConnectionContext = createContext<Connection>(CONNECTING)

/** Read the newest position of every asset or employee, also of those that have none. */
async function readAll(path: '/v1/assets/positions' | '/v1/employees/positions', signal: AbortSignal): Promise<StatedPosition[]> {
  const all: StatedPosition[] = []
  let cursor: string | null = null
  do {
    const query = { limit: PAGE, total: 'none' as const, ...(cursor === null ? {} : { cursor }) }
    const answer: unknown = await data(api.GET(path, { params: { query }, signal }))
    const page = answer as Schemas['AssetPositionList'] // it may answer GeoJSON, too
    all.push(...page.data)
    cursor = page.next_cursor
  } while (cursor !== null && all.length < MOST_ASSETS)
  return all
}

/** The live connection of all pages of somebody who is signed in. */
export function LiveConnection(props: { children: ReactNode }) {
  const queries = useQueryClient()
  const { forget } = useSignIn()
  const [connection, setConnection] = useState<Connection>(CONNECTING)
  const showsPeople = useShowsPeople()
  const live = useRef<LiveSocket>(null)
  const { data: assets } = useQuery({
    queryKey: ASSETS,
    queryFn: ({ signal }) => readAll('/v1/assets/positions', signal),
    staleTime: Infinity, // the live connection brings what is new
    retry: true,
  })
  const { data: people } = useQuery({
    queryKey: PEOPLE,
    queryFn: ({ signal }) => readAll('/v1/employees/positions', signal),
    enabled: showsPeople,
    staleTime: Infinity,
  })
  useEffect(() => {
    const socket = new LiveSocket({
      positions: (items) => store.put(items),
      people: (items) => peopleStore.put(items),
      peopleHidden: () => void queries.invalidateQueries({ queryKey: SHOWS_PEOPLE }),
      event: (event) => takeEvent(queries, event),
      gap: () => void queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] }),
      state(state, code) {
        if (state === 'ended' && code === 'unauthorized') forget()
        if (state === 'ended' && code === 'forbidden') void queries.invalidateQueries({ queryKey: SESSION })
        // Assets that were deleted meanwhile are told of to nobody.
        if (state === 'open') {
          void queries.invalidateQueries({ queryKey: ASSETS })
          void queries.invalidateQueries({ queryKey: PEOPLE })
        }
        setConnection({ state, code, hurry: socket.hurry })
      },
    })
    live.current = socket
    window.addEventListener('online', socket.hurry)
    return () => {
      window.removeEventListener('online', socket.hurry)
      socket.close()
      store.clear()
      peopleStore.clear()
    }
    // One connection for as long as somebody is signed in.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [])
  useEffect(() => {
    if (assets) store.replace(assets)
  }, [assets])
  useEffect(() => {
    live.current?.watchPeople(showsPeople)
    if (showsPeople) return
    queries.removeQueries({ queryKey: PEOPLE })
    peopleStore.replace([])
  }, [queries, showsPeople])
  useEffect(() => {
    if (people) peopleStore.replace(people)
  }, [people])
  return <ConnectionContext value={connection}>{props.children}</ConnectionContext>
}

export function useConnection(): Connection {
  return useContext(ConnectionContext)
}

/** The newest position of each asset, by name. It changes with every message. */
export function usePositions(): readonly LivePosition[] {
  return useSyncExternalStore(store.subscribe, store.all)
}

/** The newest position of each employee who has one, by name; of nobody, where they are not shown. */
export function usePeople(): readonly LivePosition[] {
  const all = useSyncExternalStore(peopleStore.subscribe, peopleStore.all)
  return useMemo(() => all.filter(({ position }) => position !== null), [all])
}

/** All assets, by name. It changes where one comes, goes or is renamed. */
export function useAssetNames(): readonly AssetName[] {
  return useSyncExternalStore(store.subscribe, store.names)
}

/** Positions for what is not drawn by React. */
export const positions = store
export const people = peopleStore
