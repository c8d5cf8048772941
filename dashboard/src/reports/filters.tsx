import { useAssetNames } from '../live/live'
import { useHasRole } from '../session/session'
import { useSay, type Say } from '../texts/texts'
import { Choice } from '../ui/choice'
import { given } from '../ui/filters'
import { Button, Note } from '../ui/forms'
import { useZoneNames } from '../zones/use-zones'
import { GROUPS, REPORTS, type Report } from './columns'

/** What a report is about, as addresses of pages have it; the API's names are longer. */
export const FILTERS = ['of', 'asset', 'client', 'zone', 'tag', 'employee', 'by'] as const
export type Filters = Record<(typeof FILTERS)[number], string>
export type Asked = Partial<Record<'of' | 'asset_id' | 'client_id' | 'zone_id' | 'tag' | 'employee_id' | 'group_by', string>>

const isOfPlaces = (report: Report) => report === 'visits' || report === 'presence'
const isOfPeople = (report: Report, { of, employee }: Filters) => (of === 'employee' || employee !== '') && !isOfPlaces(report)
const countOf = (ids: string) => ids.split(',').length

/** What a report is grouped by: as it is asked for, where the report can be. */
function groupOf(report: Report, by: string): string | undefined {
  const groups = GROUPS[report]
  const parts = new Set(groups?.flatMap((each) => each.split(',')))
  return by !== '' && by.split(',').every((part) => parts.has(part)) ? by : groups?.[0]
}

/** The filters as the API has them, without those that the report has not. */
export function askedOf(report: Report, filters: Filters): Asked {
  const by = groupOf(report, filters.by)
  return given({
    ...(isOfPeople(report, filters)
      ? { of: 'employee', employee_id: filters.employee }
      : { asset_id: filters.asset, client_id: filters.client, zone_id: filters.zone, tag: filters.tag }),
    group_by: by === GROUPS[report]?.[0] ? undefined : by,
  })
}

/** The filters of the API as a page has them. */
export function filtersOf(asked: { [Name in keyof Asked]?: string | null | undefined }): Filters {
  return {
    of: asked.of === 'employee' || asked.employee_id ? 'employee' : '',
    asset: asked.asset_id ?? '',
    client: asked.client_id ?? '',
    zone: asked.zone_id ?? '',
    tag: asked.tag ?? '',
    employee: asked.employee_id ?? '',
    by: asked.group_by ?? '',
  }
}

/** The choice of a report. */
export function ReportChoice(props: { report: Report; onChange: (changes: { report: string; by: string }) => void }) {
  const say = useSay()
  return (
    <Choice
      label={say('report')}
      value={props.report}
      values={REPORTS}
      texts={REPORTS.map((each) => say(`report-${each}`))}
      onChoose={(report) => props.onChange({ report, by: '' })}
    />
  )
}

/** The choices of what a report is about. */
export function FilterChoices(props: { report: Report; filters: Filters; onChange: (changes: Partial<Filters>) => void }) {
  const say = useSay()
  const seesPeople = useHasRole('dispatcher')
  const assets = useAssetNames()
  const zones = useZoneNames()
  const { report, filters, onChange } = props
  const by = groupOf(report, filters.by)
  const groups = GROUPS[report] ?? []
  const shownGroups = by === undefined || groups.includes(by) ? groups : [...groups, by]
  const people = isOfPeople(report, filters)
  return (
    <>
      {by !== undefined && (
        <Choice
          label={say('report-by')}
          value={by}
          values={shownGroups}
          texts={shownGroups.map((each) => each.split(',').map((part) => say(`report-group-${part}`)).join(', '))}
          onChoose={(next) => onChange({ by: next })}
        />
      )}
      {seesPeople && !isOfPlaces(report) && (
        <Choice
          label={say('report-of')}
          value={people ? 'employee' : ''}
          values={['', 'employee']}
          texts={[say('report-of-assets'), say('report-of-employees')]}
          onChoose={(of) => onChange({ of, employee: '' })}
        />
      )}
      {!people && (
        <>
          <ThingChoice label={say('asset')} value={filters.asset} things={assets} onChoose={(asset) => onChange({ asset })} />
          <ThingChoice label={say('report-zone')} value={filters.zone} things={zones.data ?? []} onChoose={(zone) => onChange({ zone })} />
        </>
      )}
    </>
  )
}

/** A choice of all or one; several stay as they are until another one is chosen. */
function ThingChoice(props: {
  label: string
  value: string
  things: readonly { id: string; name: string }[]
  onChoose: (id: string) => void
}) {
  const say = useSay()
  const { value, things } = props
  const several = value === '' || things.some(({ id }) => id === value) ? [] : [value]
  return (
    <Choice
      label={props.label}
      value={value}
      values={['', ...several, ...things.map(({ id }) => id)]}
      texts={[say('all'), ...several.map((ids) => say('report-chosen', { count: countOf(ids) })), ...things.map(({ name }) => name)]}
      onChoose={props.onChoose}
    />
  )
}

/** What the address asks for beside the choices. */
function restOf(say: Say, filters: Filters): string[] {
  return [
    ...(filters.client === '' ? [] : [say('report-clients', { count: countOf(filters.client) })]),
    ...(filters.employee === '' ? [] : [say('report-people', { count: countOf(filters.employee) })]),
    ...(filters.tag === '' ? [] : [say('report-tags', { tags: filters.tag.replaceAll(',', ', ') })]),
  ]
}

/** Says what the address asks for beside the choices, and lets it go. */
export function RestNote(props: { filters: Filters; onChange: (changes: Partial<Filters>) => void }) {
  const say = useSay()
  const rest = restOf(say, props.filters)
  if (rest.length === 0) return null
  return (
    <Note kind="plain">
      <p>{say('report-only', { what: rest.join(' · ') })}</p>
      <Button onPress={() => props.onChange({ client: '', employee: '', tag: '' })}>{say('report-of-all')}</Button>
    </Note>
  )
}
