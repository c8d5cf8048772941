import { keepLanguage, LANGUAGES, useLanguage, useSay, type Language } from './texts'

const NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch' }

/** A choice of the language. The page is read anew in it. */
export function LanguageChoice() {
  const say = useSay()
  const language = useLanguage()
  return (
    <label className="language">
      <span className="unseen">{say('language')}</span>
      <select
        value={language}
        onChange={(event) => {
          keepLanguage(event.target.value as Language)
          location.reload()
        }}
      >
        {LANGUAGES.map((each) => (
          <option key={each} value={each}>
            {NAMES[each]}
          </option>
        ))}
      </select>
    </label>
  )
}
