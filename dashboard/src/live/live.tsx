import { useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, useState, useSyncExternalStore, type ReactNode } from 'react'
import { useSignIn } from '../session/session'
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
