import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { useDisplayChange } from './session'
import { BROWSER_ZONE, CLOCKS, LANGUAGES, timeZone, UNITS, useDisplay, type Language } from '../texts/display'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'

const USUAL = 'usual'

/** What the page's times are, and the choices of how times, speeds and lengths are shown. */
export function DisplayChoice() {
  const say = useSay()
  const { units, clock } = useDisplay()
  const change = useDisplayChange()
  const organization = useQuery({
    queryKey: ['time-zone'],
    queryFn: async () => (await data(api.GET('/v1/organization'))).timezone,
    staleTime: 60_000,
  })
  const zone = timeZone()
  const zones = [...new Set([BROWSER_ZONE, organization.data ?? 'UTC', 'UTC', zone])]
  const clocks = [USUAL, ...CLOCKS] as const
  return (
    <details className="display">
      <summary>{say('times-of', { zone })}</summary>
      <div className="choices">
        <Choice label={say('time-zone')} value={zone} values={zones} texts={zones} onChoose={(chosen) => change({ timezone: chosen })} />
        <Choice
          label={say('clock')}
          value={clock ?? USUAL}
          values={clocks}
          texts={clocks.map((each) => say(`clock-${each}`))}
          onChoose={(chosen) => change({ clock: chosen === USUAL ? null : chosen })}
        />
        <Choice
          label={say('units')}
          value={units}
          values={UNITS}
          texts={UNITS.map((each) => say(`units-${each}`))}
          onChoose={(chosen) => change({ units: chosen })}
        />
      </div>
    </details>
  )
}

/** The names of languages, each in itself. */
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch' }

export function LanguageChoice() {
  const say = useSay()
  const { language } = useDisplay()
  const change = useDisplayChange()
  return (
    <div className="language">
      <Choice
        label={say('language')}
        isLabelSeen={false}
        value={language}
        values={LANGUAGES}
        texts={LANGUAGES.map((each) => LANGUAGE_NAMES[each])}
        onChoose={(chosen) => change({ language: chosen })}
      />
    </div>
  )
}
