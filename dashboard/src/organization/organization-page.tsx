import { problemOf } from '../api/problem'
import type { Tagged } from '../api/client'
import { LANGUAGE_NAMES } from '../session/display-choice'
import { useHasRole } from '../session/session'
import { LANGUAGES, type Language } from '../texts/display'
import { useLanguage, useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Check, Note, ProblemNote, TextInput } from '../ui/forms'
import { Archive } from './archive'
import { HoursForm } from './hours-form'
import { Logo } from './logo'
import { useOrganization, useOrganizationChange, type Organization } from './organization'
import { NumberFields, SettingForm } from './setting-form'
import {
  changesOf,
  FIX_SETTINGS,
  PUNCH_SETTINGS,
  settingText,
  SPEED_SETTINGS,
  ZONE_SETTINGS,
  type Setting,
} from './settings'
import { Usage } from './usage'

const POLICIES = ['flag', 'allow', 'block'] as const
const KINDS_OF_DATA = ['positions', 'events', 'audit'] as const
const NAME_FIELDS = ['name', 'timezone', 'language', 'address', 'email']
const FIX_FIELDS = [...FIX_SETTINGS, ...SPEED_SETTINGS, ...ZONE_SETTINGS]
const PARTS = ['name-and-address', 'plan-and-usage', 'fixes-and-zones', 'events-of-trips', 'employees-on-map', 'punches', 'hours-and-pay', 'retention'] as const
const PARTS_OF_ADMINS = [...PARTS, 'archive'] as const
type Props = Tagged<Organization>

/** The organization: what it is called, what it has of its plan, and how fixes, punches and hours
 *  are judged. */
export function OrganizationPage() {
  const say = useSay()
  const mayChange = useHasRole('admin')
  const found = useOrganization()
  return (
    <div className="page">
      <h1>{say('organization')}</h1>
      {found.error && <ProblemNote problem={problemOf(found.error)} />}
      {!mayChange && <Note kind="plain">{say('only-admins-change')}</Note>}
      {found.data && (
        <>
          <nav className="row contents" aria-label={say('on-this-page')}>
            {(mayChange ? PARTS_OF_ADMINS : PARTS).map((part) => <a key={part} href={`#${part}`}>{say(part)}</a>)}
          </nav>
          <NameForm {...found.data} />
          <Logo organization={found.data.item} />
          <Usage />
          <FixForm {...found.data} />
          <TripsForm {...found.data} />
          <EmployeesForm {...found.data} />
          <PunchForm {...found.data} />
          <HoursForm {...found.data} />
          <Retention retention={found.data.item.retention} />
          {mayChange && <Archive />}
        </>
      )}
    </div>
  )
}

function NameForm({ item, tag }: Props) {
  const say = useSay()
  const change = useOrganizationChange(tag)
  const orNull = (value: FormDataEntryValue | null) => (String(value ?? '').trim() === '' ? null : String(value))
  return (
    <SettingForm
      title="name-and-address"
      fields={NAME_FIELDS}
      change={change}
      read={(given) => ({
        body: {
          name: String(given.get('name')),
          timezone: String(given.get('timezone')),
          language: given.get('language') === '' ? null : (given.get('language') as Language),
          address: orNull(given.get('address')),
          email: orNull(given.get('email')),
        },
        bad: [],
      })}
    >
      <div className="fields">
        <TextInput name="name" label={say('name')} hint={say('set-name-hint')} defaultValue={item.name} isRequired maxLength={200} />
        <TextInput name="timezone" label={say('set-timezone')} hint={say('set-timezone-hint')} defaultValue={item.timezone} isRequired maxLength={64} />
        <Choice
          name="language"
          label={say('language')}
          hint={say('set-language-hint')}
          value={item.language ?? ''}
          values={['', ...LANGUAGES]}
          texts={[say('not-chosen'), ...LANGUAGES.map((each) => LANGUAGE_NAMES[each])]}
        />
        <TextInput name="address" lines={4} label={say('set-address')} hint={say('set-address-hint')} defaultValue={item.address ?? ''} maxLength={500} />
        <TextInput name="email" type="email" label={say('set-email')} hint={say('set-email-hint')} defaultValue={item.email ?? ''} maxLength={254} />
      </div>
    </SettingForm>
  )
}

/** What a form gives of settings that are numbers. */
function useNumbers(settings: readonly Setting[], organization: Organization) {
  const language = useLanguage()
  return (given: FormData) =>
    changesOf(
      language,
      settings,
      (setting) => settingText(language, setting, organization),
      (place) => String(given.get(place) ?? ''),
    )
}

function FixForm({ item, tag }: Props) {
  const say = useSay()
  const change = useOrganizationChange(tag)
  const read = useNumbers(FIX_FIELDS, item)
  return (
    <SettingForm title="fixes-and-zones" hint="fixes-and-zones-hint" fields={FIX_FIELDS.map(({ place }) => place)} change={change} read={read}>
      <NumberFields settings={FIX_SETTINGS} organization={item} />
      <h3>{say('max-speeds')}</h3>
      <p className="small">{say('max-speeds-hint')}</p>
      <NumberFields settings={SPEED_SETTINGS} organization={item} />
      <h3>{say('zone-rules')}</h3>
      <p className="small">{say('zone-rules-hint')}</p>
      <NumberFields settings={ZONE_SETTINGS} organization={item} />
    </SettingForm>
  )
}

/** Whether trips and stops are told. */
function TripsForm({ item, tag }: Props) {
  const say = useSay()
  const change = useOrganizationChange(tag)
  return (
    <SettingForm
      title="events-of-trips"
      hint="events-of-trips-hint"
      fields={['trip_events']}
      change={change}
      read={(given) => ({ body: { trip_events: given.has('trip_events') }, bad: [] })}
    >
      <Check name="trip_events" label={say('set-trip-events')} hint={say('set-trip-events-hint')} isChecked={item.trip_events} />
    </SettingForm>
  )
}

/** Whether employees are shown on the map: a choice about people, which says what it means for them. */
function EmployeesForm({ item, tag }: Props) {
  const say = useSay()
  const change = useOrganizationChange(tag)
  return (
    <SettingForm
      title="employees-on-map"
      hint="employees-on-map-hint"
      fields={['shows_employees']}
      change={change}
      read={(given) => ({ body: { shows_employees: given.has('shows_employees') }, bad: [] })}
    >
      <Check name="shows_employees" label={say('set-shows-employees')} hint={say('set-shows-employees-hint')} isChecked={item.shows_employees} />
    </SettingForm>
  )
}

function PunchForm({ item, tag }: Props) {
  const say = useSay()
  const change = useOrganizationChange(tag)
  const numbers = useNumbers(PUNCH_SETTINGS, item)
  const policy = item.punch_policy ?? 'flag'
  return (
    <SettingForm
      title="punches"
      hint="punches-hint"
      fields={PUNCH_SETTINGS.map(({ place }) => place)}
      change={change}
      read={(given) => {
        const { body, bad } = numbers(given)
        const chosen = given.get('punch_policy') as typeof policy
        return { body: chosen === policy ? body : { ...body, punch_policy: chosen }, bad }
      }}
    >
      <div className="fields">
        <Choice
          name="punch_policy"
          label={say('set-punch-policy')}
          hint={say('set-punch-policy-hint')}
          value={policy}
          values={POLICIES}
          texts={POLICIES.map((each) => say(`policy-${each}`))}
        />
      </div>
      <NumberFields settings={PUNCH_SETTINGS} organization={item} />
    </SettingForm>
  )
}

/** How long data is kept. That is the operator's, since what is removed is gone. */
function Retention(props: { retention: Organization['retention'] }) {
  const say = useSay()
  return (
    <section id="retention" className="card" aria-label={say('retention')}>
      <h2>{say('retention')}</h2>
      <p>{say('retention-hint')}</p>
      <dl className="facts">
        {KINDS_OF_DATA.map((kind) => {
          const days = props.retention[`${kind}_days`]
          return [
            <dt key={kind}>{say(`retention-${kind}`)}</dt>,
            <dd key={`${kind}-days`}>{days === null ? say('retention-of-installation') : say('retention-days', { count: days })}</dd>,
          ]
        })}
      </dl>
    </section>
  )
}
