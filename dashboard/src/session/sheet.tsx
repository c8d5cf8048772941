import type { ReactNode } from 'react'
import icon from '../style/icon.svg'
import { LanguageChoice } from './display-choice'

/** A page of who is not signed in: one sheet in the middle. */
export function Sheet(props: { title: string; children: ReactNode }) {
  return (
    <main className="sheet-page">
      <section className="sheet" aria-labelledby="sheet-title">
        <p className="brand">
          <img src={icon} alt="" width="28" height="28" /> OPS Companion
        </p>
        <h1 id="sheet-title">{props.title}</h1>
        {props.children}
      </section>
      <LanguageChoice />
    </main>
  )
}
