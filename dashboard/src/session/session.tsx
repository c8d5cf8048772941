/** Who is signed in by the session's cookie. */
import { useMutation, useMutationState, useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, type ReactNode } from 'react'
import { api, data, setCsrfToken, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { choose, settle, show, unsavedChoices, type Display } from '../texts/display'

export type Role = Schemas['SessionItem']['role']
export interface Session {
  userId: string
  organizationId: string
  role: Role
  /** When it ends, however much it is used; milliseconds since 1970. */
  expiresAt: number
}

export const ROLES: readonly Role[] = ['viewer', 'technician', 'dispatcher', 'admin']
/** The key of who is signed in. */
export const SESSION = ['session']
const KEY = SESSION
const SessionContext = createContext<Session | null>(null)

function taken(item: Schemas['SessionItem']): Session {
  setCsrfToken(item.csrf_token)
  show(item)
  return { userId: item.user_id, organizationId: item.organization_id, role: item.role, expiresAt: Date.parse(item.expires_at) }
}

async function read(): Promise<Session | null> {
  try {
    return taken(await data(api.GET('/v1/auth/session')))
  } catch (thrown) {
    if (problemOf(thrown).document.status === 401) return null
    throw thrown
  }
}

/** The session as the API has it: `null` where nobody is signed in. */
export function useSessionQuery() {
  // Looked at again when the page is: another tab may have signed somebody else in.
  return useQuery({ queryKey: KEY, queryFn: read, staleTime: Infinity, refetchOnWindowFocus: 'always', retry: 2 })
}

export function SignedIn(props: { session: Session; children: ReactNode }) {
  useEffect(() => () => settle(), []) // what this person chose is not of whoever signs in next
  return <SessionContext value={props.session}>{props.children}</SessionContext>
}

/** The session of a page that only somebody who is signed in sees. */
export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === null) throw new Error('nobody is signed in')
  return session
}

/** Whether the signed-in person has this role, or one above it. */
export function useHasRole(role: Role): boolean {
  return ROLES.indexOf(useSession().role) >= ROLES.indexOf(role)
}

function save(changes: Partial<Display>): Promise<unknown> {
  return data(api.PATCH('/v1/users/me', { body: changes }))
}

const CHOICE = ['display']
const MOST_RETRIES = 8

/** The function that changes how pages are shown to this person: at once, whether or not the API can be
 *  reached. Of somebody who has not signed in yet it is saved by the sign-in. */
export function useDisplayChange() {
  const queries = useQueryClient()
  const saving = useMutation({
    mutationKey: CHOICE,
    scope: { id: 'display' }, // one after the other
    mutationFn: ({ userId, changes }: { userId: string; changes: Partial<Display> }) =>
      queries.getQueryData<Session>(KEY)?.userId === userId ? save(changes) : Promise.resolve(), // somebody else by now
    retry: (failures, error) => [0, 502, 503, 504].includes(problemOf(error).document.status) && failures < MOST_RETRIES,
    onSuccess: (_saved, { changes }) => { // one that is not saved holds on this page
      settle(changes)
      void queries.invalidateQueries({ queryKey: KEY }) // a read that began before may have said otherwise
    },
  })
  return (changes: Partial<Display>) => {
    choose(changes)
    const session = queries.getQueryData<Session>(KEY)
    if (session) saving.mutate({ userId: session.userId, changes })
  }
}

/** Whether the last choice of how pages are shown could not be saved. */
export function useIsChoiceLost(): boolean {
  return useMutationState({ filters: { mutationKey: CHOICE }, select: ({ state }) => state.status }).at(-1) === 'error'
}

/** Functions that begin and end the session. Both forget all that was read before. */
export function useSignIn() {
  const queries = useQueryClient()
  function become(session: Session | null): void {
    // Not clear(): pages that look at the session would not hear of it.
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== KEY[0] })
    queries.getMutationCache().clear() // which has secrets that were shown once
    queries.setQueryData(KEY, session)
  }
  return {
    async signIn(body: Schemas['Credentials']): Promise<void> {
      const session = taken(await data(api.POST('/v1/auth/session', { body })))
      const chosen = unsavedChoices() // on this page
      if (Object.keys(chosen).length > 0) await save(chosen).catch(() => undefined)
      settle(chosen)
      become(session)
    },
    /** Throws Problem where the session may go on. */
    async signOut(): Promise<void> {
      try {
        await data(api.DELETE('/v1/auth/session'))
      } catch (thrown) {
        if (problemOf(thrown).document.status !== 401) throw thrown
      }
      setCsrfToken(null)
      become(null)
    },
    /** The cookie is not good any more: the page asks for a new sign-in. */
    forget(): void {
      setCsrfToken(null)
      become(null)
    },
  }
}
