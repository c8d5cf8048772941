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
        <div className="stack" role="group" aria-label={say('machines')}>
          <h4>{filters.asset_ids.length === 0 ? say('machines-all') : say('machines-chosen', { count: filters.asset_ids.length })}</h4>
          <SearchedChecks
            label={say('machines')}
            searchLabel={say('find-asset')}
            things={assets}
            chosen={filters.asset_ids}
            onChoose={(asset_ids) => onChange({ ...filters, asset_ids })}
          />
        </div>
        <div className="stack" role="group" aria-label={say('zones')}>
          <h4>{filters.zone_ids.length === 0 ? say('all-zones') : say('zones-chosen', { count: filters.zone_ids.length })}</h4>
          <SearchedChecks
            label={say('zones')}
            searchLabel={say('find-zone')}
            things={zones.data ?? []}
            chosen={filters.zone_ids}
            onChoose={(zone_ids) => onChange({ ...filters, zone_ids })}
          />
        </div>
      </div>
      {props.others && <p className="small">{say('endpoint-other-filters')}</p>}
    </>
  )
}
