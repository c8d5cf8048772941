/** Texts by name, in the person's language. The catalogues are Fluent files, `en.ftl` and `de.ftl`. */
import { FluentBundle, FluentResource, type FluentVariable } from '@fluent/bundle'
import { createContext, useContext, useMemo, type ReactNode } from 'react'
import german from './de.ftl?raw'
import english from './en.ftl?raw'

export const LANGUAGES = ['en', 'de'] as const
export type Language = (typeof LANGUAGES)[number]
type Values = Record<string, FluentVariable>
export type Say = (name: string, values?: Values) => string

const SOURCES: Record<Language, string> = { en: english, de: german }
const KEPT = 'language'

function bundle(language: Language): FluentBundle {
  const made = new FluentBundle(language, { useIsolating: false })
  const errors = made.addResource(new FluentResource(SOURCES[language]))
  if (errors.length > 0) throw errors[0]
  return made
}

/** A function that says texts in a language. A name without a text is said itself. */
export function sayer(language: Language): Say {
  const bundles = [bundle(language), ...(language === 'en' ? [] : [bundle('en')])]
  return (name, values) => {
    for (const each of bundles) {
      const pattern = each.getMessage(name)?.value
      if (pattern) return each.formatPattern(pattern, values ?? null)
    }
    return name
  }
}

/** The language that the person chose here, else the browser's. */
export function chosenLanguage(): Language {
  const kept = localStorage.getItem(KEPT)
  const wanted = [...(kept === null ? [] : [kept]), ...navigator.languages]
  const known = wanted.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag as Language))
  return (known ?? 'en') as Language
}

export function keepLanguage(language: Language): void {
  localStorage.setItem(KEPT, language)
}

const TextsContext = createContext<{ say: Say; language: Language }>({
  say: (name) => name,
  language: 'en',
})

export function Texts(props: { language: Language; children: ReactNode }) {
  const value = useMemo(
    () => ({ say: sayer(props.language), language: props.language }),
    [props.language],
  )
  return <TextsContext value={value}>{props.children}</TextsContext>
}

/** The function that says texts on this page. */
export function useSay(): Say {
  return useContext(TextsContext).say
}

export function useLanguage(): Language {
  return useContext(TextsContext).language
}
