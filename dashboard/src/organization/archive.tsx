import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { dayText } from '../reports/columns'
import { useLanguage, useSay } from '../texts/texts'
import { localeOf, timeText } from '../texts/times'
import { Note, ProblemNote } from '../ui/forms'

/** What the archive has, and what could not get there. */
export function Archive() {
  const say = useSay()
  const language = useLanguage()
  const numbers = new Intl.NumberFormat(localeOf(language))
  const archive = useQuery({ queryKey: ['archive'], queryFn: () => data(api.GET('/v1/organization/archive')) })
  const found = archive.data
  return (
    <section id="archive" className="card" aria-label={say('archive')}>
      <h2>{say('archive')}</h2>
      <p>{say('archive-hint')}</p>
      {archive.error && <ProblemNote problem={problemOf(archive.error)} />}
      {found?.first_day && found.last_day && found.live_from && found.archived_at && (
        <dl className="facts">
          <dt>{say('archive-days')}</dt>
          <dd>
            {say('archive-from-to', {
              count: found.days,
              first: dayText(language, found.first_day),
              last: dayText(language, found.last_day),
            })}
          </dd>
          <dt>{say('archive-live')}</dt>
          <dd>{dayText(language, found.live_from)}</dd>
          <dt>{say('archive-fixes')}</dt>
          <dd>{numbers.format(found.fixes)}</dd>
          <dt>{say('archive-size')}</dt>
          <dd>{say('archive-megabytes', { size: numbers.format(Math.ceil(found.bytes / 100_000) / 10) })}</dd>
          <dt>{say('archive-moved')}</dt>
          <dd>{timeText(language, found.archived_at)}</dd>
        </dl>
      )}
      {found && found.days === 0 && <p className="small">{say('archive-none')}</p>}
      {found?.failed_day && found.failed_at && (
        <Note kind="bad">
          {say('archive-failed', {
            count: found.failed_days,
            day: dayText(language, found.failed_day),
            at: timeText(language, found.failed_at),
          })}
        </Note>
      )}
    </section>
  )
}
