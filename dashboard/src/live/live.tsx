import { useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, useState, useSyncExternalStore, type ReactNode } from 'react'
import { useSignIn } from '../session/session'
import { api, data, type Schemas } from '../api/client'
import { takeEvent } from '../breaches/breaches'
import { PositionStore, type LivePosition } from './positions'
import { LiveSocket, type ConnectionState } from './socket'

export interface Connection {
  state: ConnectionState
  /** Why it was lost or ended, as the close says. */
  code: string
  hurry: () => void
}

const store = new PositionStore()
const ConnectionContext = createContext<Connection>({ state: 'connecting', code: '', hurry: () => {} })

const PAGE = 1_000
const MOST_ASSETS = 20_000

/** Read the newest position of every asset, also of those that have none. */
async function readAll(): Promise<void> {
  let cursor: string | null = null
  for (let read = 0; read < MOST_ASSETS; read += PAGE) {
    const query = { limit: PAGE, total: 'none' as const, ...(cursor === null ? {} : { cursor }) }
    const answer: unknown = await data(api.GET('/v1/assets/positions', { params: { query } }))
    const page = answer as Schemas['AssetPositionList'] // it may answer GeoJSON, too
    store.put(page.data)
    cursor = page.next_cursor
    if (cursor === null) return
  }
}

/** The live connection of all pages of somebody who is signed in. */
export function LiveConnection(props: { children: ReactNode }) {
  const queries = useQueryClient()
  const { forget } = useSignIn()
  const [connection, setConnection] = useState<Connection>({ state: 'connecting', code: '', hurry: () => {} })
  useEffect(() => {
    const socket = new LiveSocket({
      positions: (items) => store.put(items),
      event: (event) => takeEvent(queries, event),
      gap: () => void queries.invalidateQueries(),
      state(state, code) {
        if (state === 'ended' && code === 'unauthorized') forget()
        setConnection({ state, code, hurry: () => socket.hurry() })
      },
    })
    // The live connection tells of assets that have a position: those without one are read.
    void readAll().catch(() => undefined)
    window.addEventListener('online', socket.hurry)
    return () => {
      window.removeEventListener('online', socket.hurry)
      socket.close()
      store.clear()
    }
    // One connection for as long as somebody is signed in.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [])
  return <ConnectionContext value={connection}>{props.children}</ConnectionContext>
}

export function useConnection(): Connection {
  return useContext(ConnectionContext)
}

/** The newest position of each asset, by name. */
export function usePositions(): readonly LivePosition[] {
  return useSyncExternalStore(store.subscribe, store.all)
}

/** Positions for what is not drawn by React. */
export const positions = store
