import { useMutation, useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { timeZone } from '../texts/display'
import { useLanguage, useSay } from '../texts/texts'
import { inputText } from '../texts/times'
import { given, useFilters } from '../ui/filters'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'
import { offer } from '../ui/offer'
import { Table } from '../ui/table'
import { cellText, columnsOf, REPORTS, type Report, type Row } from './columns'
import { askedOf, FilterChoices, FILTERS, ReportChoice, RestNote } from './filters'

const MOST = 1_000
const WEEK_MS = 6 * 24 * 3_600_000
const NAMES = ['report', 'from', 'to', 'tz', ...FILTERS] as const
const FORMS = [
  { format: 'CSV', extension: 'csv', type: 'text/csv' },
  { format: 'XLSX', extension: 'xlsx', type: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet' },
  { format: 'PDF', extension: 'pdf', type: 'application/pdf' },
] as const
type Form = (typeof FORMS)[number]
type Query = Record<string, string | number>

/** All reports take what is asked for here; their rows differ. */
const pathOf = (report: Report) => `/v1/reports/${report}` as '/v1/reports/day'

function isDay(text: string): boolean {
  return /^[12]\d{3}-\d\d-\d\d$/.test(text) // another is half typed
}

/** What machines and people did, summed up. The address keeps what is asked for. */
export function ReportsPage() {
  const say = useSay()
  const language = useLanguage()
  const mayMail = useHasRole('dispatcher')
  const [{ report: name, from: first, to: last, tz, ...filters }, setFilters] = useFilters(NAMES)
  const report = REPORTS.find((each) => each === name) ?? 'day'
  const from = first || inputText(Date.now() - WEEK_MS).slice(0, 10)
  const to = last || inputText(Date.now()).slice(0, 10)
  const asked = askedOf(report, filters)
  const query: Query = { ...asked, from, to, time_zone: tz || timeZone() }
  const rows = useQuery({
    queryKey: ['report', report, query],
    queryFn: ({ signal }) => data(api.GET(pathOf(report), { params: { query: { ...query, limit: MOST } }, signal })),
    enabled: isDay(from) && isDay(to),
  })
  const found = rows.data?.data.map((row, place): Row & { id: string } => ({ ...row, id: String(place) }))
  const columns = columnsOf(report, found ?? []).map((name) => ({
    title: `report-column-${name.replaceAll('_', '-')}`,
    cell: (row: Row) => cellText(say, language, name, row[name]),
  }))
  return (
    <div className="page">
      <h1>{say('reports')}</h1>
      <p>{say(`report-hint-${report}`)}</p>
      <div className="filters" role="group" aria-label={say('filters')}>
        <ReportChoice report={report} onChange={setFilters} />
        <TextInput type="date" label={say('from')} value={from} onChange={(day) => setFilters({ from: day })} />
        <TextInput type="date" label={say('report-to')} value={to} onChange={(day) => setFilters({ to: day })} />
        <FilterChoices report={report} filters={filters} onChange={setFilters} />
      </div>
      <RestNote filters={filters} onChange={setFilters} />
      {tz !== '' && tz !== timeZone() && <p className="small">{say('report-days-of', { zone: tz })}</p>}
      {rows.error && <ProblemNote problem={problemOf(rows.error)} />}
      {!rows.error && <Table label={say(`report-${report}`)} columns={columns} rows={found} empty={say('report-empty')} />}
      {(rows.data?.total ?? 0) > MOST && <Note kind="plain">{say('report-first', { count: MOST, all: rows.data!.total })}</Note>}
      <SaveButtons report={report} query={query} />
      {mayMail && (
        <p>
          <Link to={`/report-schedules?${String(new URLSearchParams({ report, ...given(filters) }))}`}>{say('report-mail')}</Link>
        </p>
      )}
    </div>
  )
}

/** The report as a file, as the API writes it. */
function SaveButtons(props: { report: Report; query: Query }) {
  const say = useSay()
  const { report, query } = props
  const save = useMutation({
    mutationFn: async ({ extension, type }: Form) => {
      const asked = { params: { query }, headers: { Accept: type }, parseAs: 'blob' as const }
      const content: unknown = await data(api.GET(pathOf(report), asked))
      offer(`${report}-${query.from}.${extension}`, type, content as Blob)
    },
  })
  return (
    <>
      <div className="row">
        {FORMS.map((form) => (
          <Button key={form.format} onPress={() => save.mutate(form)} isPending={save.isPending && save.variables === form}>
            {say('export', { format: form.format })}
          </Button>
        ))}
      </div>
      {save.error && <ProblemNote problem={problemOf(save.error)} />}
    </>
  )
}
