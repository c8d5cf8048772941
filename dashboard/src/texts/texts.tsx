/** Texts by name, in the person's language. The catalogues are Fluent files, `en.ftl` and `de.ftl`. */
import { FluentBundle, FluentResource, type FluentVariable } from '@fluent/bundle'
import { createContext, useContext, useEffect, useMemo, type ReactNode } from 'react'
import german from './de.ftl?raw'
import { useDisplay, type Language } from './display'
import english from './en.ftl?raw'

type Values = Record<string, FluentVariable>
export type Say = (name: string, values?: Values) => string

const SOURCES: Record<Language, string> = { en: english, de: german }

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

const TextsContext = createContext<{ say: Say; language: Language }>({
  say: (name) => name,
  language: 'en',
})

export function Texts(props: { children: ReactNode }) {
  const { language } = useDisplay()
  const value = useMemo(() => ({ say: sayer(language), language }), [language])
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  return <TextsContext value={value}>{props.children}</TextsContext>
}

/** The function that says texts on this page. */
export function useSay(): Say {
  return useContext(TextsContext).say
}

export function useLanguage(): Language {
  return useContext(TextsContext).language
}
