import { MutationCache, QueryCache, QueryClient, QueryClientProvider, useQueryClient } from '@tanstack/react-query'
import { lazy, Suspense, useEffect, useRef, type ReactNode } from 'react'
import { BrowserRouter, Navigate, Route, Routes, useLocation } from 'react-router'
import { problemOf } from './api/problem'
import { AlertsPage } from './alerts/alerts-page'
import { AuditPage } from './audit/audit-page'
import { BreachesPage } from './breaches/breaches-page'
import { GatewaysPage } from './gateways/gateways-page'
import { JobsPage } from './jobs/jobs-page'
import { KeysPage } from './keys/keys-page'
import { OrganizationPage } from './organization/organization-page'
import { QuarantinePage } from './quarantine/quarantine-page'
import { ReportsPage } from './reports/reports-page'
import { SchedulesPage } from './reports/schedules-page'
import { ForgotPasswordPage, PasswordLinkPage } from './session/password-pages'
import { SignInPage } from './session/sign-in'
import { SESSION, SignedIn, useSessionQuery } from './session/session'
import { Sheet } from './session/sheet'
import { Boundary } from './shell/boundary'
import { Shell } from './shell/shell'
import { Texts, useSay } from './texts/texts'
import { TrackersPage } from './trackers/trackers-page'
import { Note, ProblemNote } from './ui/forms'
import { UnknownDevicesPage } from './unknown-devices/unknown-devices-page'
import { UsersPage } from './users/users-page'
import { EndpointPage } from './webhooks/endpoint-page'
import { EndpointsPage } from './webhooks/endpoints-page'

// The map is most of what is loaded: pages without it do not wait for it.
const MapPage = lazy(() => import('./map/map-page'))
const ZonesPage = lazy(() => import('./zones/zones-page'))
const ImportPage = lazy(() => import('./zone-files/import-page'))
const HistoryPage = lazy(() => import('./history/history-page'))

/** Take in what a refusal says of the session: it is over, or the role is another one by now. */
function refused(error: unknown): void {
  const { status, code } = problemOf(error).document
  if (status === 401) queries.setQueryData(SESSION, null)
  if (code === 'forbidden') void queries.invalidateQueries({ queryKey: SESSION })
}

const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: refused }),
  mutationCache: new MutationCache({ onError: refused }),
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      retry: (failures, error) => problemOf(error).document.status === 0 && failures < 3,
    },
  },
})

export function App() {
  return (
    <Texts>
      <QueryClientProvider client={queries}>
        {/* In a transition the page that was left still hears what is typed, and takes the person back. */}
        <BrowserRouter basename="/app" useTransitions={false}>
          <Boundary>
            <Routes>
              <Route path="/sign-in" element={<OnlyStrangers><SignInPage /></OnlyStrangers>} />
              <Route path="/forgot-password" element={<ForgotPasswordPage />} />
              <Route path="/invitation" element={<PasswordLinkPage link="invitation" />} />
              <Route path="/password-reset" element={<PasswordLinkPage link="reset" />} />
              <Route path="/*" element={<OnlySignedIn><Pages /></OnlySignedIn>} />
            </Routes>
          </Boundary>
        </BrowserRouter>
      </QueryClientProvider>
    </Texts>
  )
}

function Pages() {
  const say = useSay()
  return (
    <Shell>
      <Suspense fallback={<p className="waiting">{say('loading')}</p>}>
        <Routes>
          <Route index element={<MapPage />} />
          <Route path="/history" element={<HistoryPage />} />
          <Route path="/reports" element={<ReportsPage />} />
          <Route path="/report-schedules" element={<SchedulesPage />} />
          <Route path="/zones" element={<ZonesPage />} />
          <Route path="/alerts" element={<AlertsPage />} />
          <Route path="/zones/import" element={<ImportPage />} />
          <Route path="/breaches" element={<BreachesPage />} />
          <Route path="/trackers" element={<TrackersPage />} />
          <Route path="/gateways" element={<GatewaysPage />} />
          <Route path="/unknown-devices" element={<UnknownDevicesPage />} />
          <Route path="/imports" element={<JobsPage />} />
          <Route path="/organization" element={<OrganizationPage />} />
          <Route path="/quarantine" element={<QuarantinePage />} />
          <Route path="/audit" element={<AuditPage />} />
          <Route path="/users" element={<UsersPage />} />
          <Route path="/webhooks" element={<EndpointsPage />} />
          <Route path="/webhooks/:id" element={<EndpointPage />} />
          <Route path="/keys" element={<KeysPage />} />
          <Route path="*" element={<NotFound />} />
        </Routes>
      </Suspense>
    </Shell>
  )
}

function NotFound() {
  const say = useSay()
  return (
    <div className="page">
      <h1>{say('not-found')}</h1>
      <Note kind="plain">{say('not-found-hint')}</Note>
    </div>
  )
}

/** What only somebody who is signed in sees. Who is not signs in, and comes back. */
function OnlySignedIn(props: { children: ReactNode }) {
  const say = useSay()
  const { data: session, error } = useSessionQuery()
  const { pathname, search } = useLocation()
  if (error && session === undefined) {
    return (
      <Sheet title={say('problem')}>
        <ProblemNote problem={problemOf(error)} />
      </Sheet>
    )
  }
  if (session === undefined) return <p className="waiting">{say('loading')}</p>
  if (session === null) return <Navigate to="/sign-in" replace state={{ back: pathname + search }} />
  const identity = `${session.organizationId} ${session.userId}`
  return (
    <SignedIn key={identity} session={session}>
      <Forgetting identity={identity}>{props.children}</Forgetting>
    </SignedIn>
  )
}

let lastIdentity: string | null = null

/** Forgets what was read for somebody else, who was signed in before without signing out. */
function Forgetting(props: { identity: string; children: ReactNode }) {
  const cache = useQueryClient()
  const isNew = useRef(lastIdentity !== null && lastIdentity !== props.identity)
  if (isNew.current) {
    cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] })
    isNew.current = false
  }
  useEffect(() => {
    lastIdentity = props.identity
  }, [props.identity])
  return props.children
}

function OnlyStrangers(props: { children: ReactNode }) {
  const { data: session } = useSessionQuery()
  const back = (useLocation().state as { back?: string } | null)?.back
  return session ? <Navigate to={back ?? '/'} replace /> : props.children
}
