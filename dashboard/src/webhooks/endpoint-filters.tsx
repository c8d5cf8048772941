import { useAssetNames } from '../live/live'
import { useSay } from '../texts/texts'
import { SearchedChecks } from '../ui/searched-checks'
import { useZoneNames } from '../zones/use-zones'
import type { Endpoint } from './endpoints-page'

/** What is chosen here; of what is empty, all are. */
export type Filters = Pick<Endpoint, 'asset_ids' | 'zone_ids'>

/** The machines and zones whose events an endpoint gets. others: whether it has filters that only the API sets. */
export function EndpointFilters(props: { filters: Filters; others: boolean; onChange: (filters: Filters) => void }) {
  const say = useSay()
  const assets = useAssetNames()
  const zones = useZoneNames()
  const { filters, onChange } = props
  return (
    <>
      <h3>{say('endpoint-filters')}</h3>
      <p className="small">{say('endpoint-filters-hint')}</p>
      <div className="fields">
        <Filter
          label={say('machines')}
          title={filters.asset_ids.length === 0 ? say('machines-all') : say('machines-chosen', { count: filters.asset_ids.length })}
          searchLabel={say('find-asset')}
          things={assets}
          chosen={filters.asset_ids}
          onChoose={(asset_ids) => onChange({ ...filters, asset_ids })}
        />
        <Filter
          label={say('zones')}
          title={filters.zone_ids.length === 0 ? say('all-zones') : say('zones-chosen', { count: filters.zone_ids.length })}
          searchLabel={say('find-zone')}
          things={zones.data ?? []}
          chosen={filters.zone_ids}
          onChoose={(zone_ids) => onChange({ ...filters, zone_ids })}
        />
      </div>
      {props.others && <p className="small">{say('endpoint-other-filters')}</p>}
    </>
  )
}

type Choice = Parameters<typeof SearchedChecks>[0]

/** One filter: the names of what is chosen, and all that can be. */
function Filter({ title, ...choice }: Choice & { title: string }) {
  const names = new Map(choice.things.map(({ id, name }) => [id, name]))
  return (
    <div className="stack endpoint-filter" role="group" aria-label={choice.label}>
      <h4>{title}</h4>
      {choice.chosen.length > 0 && <p dir="auto">{choice.chosen.map((id) => names.get(id) ?? id).join(', ')}</p>}
      <SearchedChecks {...choice} />
    </div>
  )
}
