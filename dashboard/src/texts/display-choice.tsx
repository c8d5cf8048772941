import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { Choice } from '../ui/choice'
import { BROWSER_ZONE, CLOCKS, display, keepDisplay, UNITS, ZONE } from './display'
import { useSay } from './texts'

/** What the page's times are, and the choices of how times, speeds and lengths are shown. */
export function DisplayChoice() {
  const say = useSay()
  const organization = useQuery({
    queryKey: ['time-zone'],
    queryFn: async () => (await data(api.GET('/v1/organization'))).timezone,
    staleTime: 60_000,
  })
  const zones = [...new Set([BROWSER_ZONE, organization.data ?? 'UTC', 'UTC', ZONE])]
  return (
    <details className="display">
      <summary>{say('times-of', { zone: ZONE })}</summary>
      <div className="choices">
        <Choice label={say('time-zone')} value={ZONE} values={zones} texts={zones} onChoose={(zone) => keepDisplay({ zone: zone === BROWSER_ZONE ? '' : zone })} />
        <Choice
          label={say('clock')}
          value={display.clock}
          values={CLOCKS}
          texts={CLOCKS.map((each) => say(`clock-${each}`))}
          onChoose={(clock) => keepDisplay({ clock })}
        />
        <Choice
          label={say('units')}
          value={display.units}
          values={UNITS}
          texts={UNITS.map((each) => say(`units-${each}`))}
          onChoose={(units) => keepDisplay({ units })}
        />
      </div>
    </details>
  )
}
