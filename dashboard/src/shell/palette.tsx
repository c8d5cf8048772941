/** Search over everything that has a page, and the pages themselves: by the button, or Ctrl+K. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components'
import { useNavigate } from 'react-router'
import { api, data } from '../api/client'
import { useSay } from '../texts/texts'
import { Button, Note } from '../ui/forms'
import { pagesFor } from './places'
import { useSession } from '../session/session'

interface Entry {
  key: string
  title: string
  kind: string
  place: string
}

const LEAST_LETTERS = 2
const MOST_OF_KIND = 5
// Where each kind of thing is shown.
const PLACES: Record<string, (id: string) => string> = {
  asset: (id) => `/?asset=${id}`,
  zone: (id) => `/zones?zone=${id}`,
  tracker: () => '/trackers',
  gateway: () => '/gateways',
  user: () => '/users',
}

export function Palette() {
  const say = useSay()
  const [isOpen, setIsOpen] = useState(false)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setIsOpen(true)
      }
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])
  return (
    <>
      <Button onPress={() => setIsOpen(true)} aria-keyshortcuts="Control+K">{say('search')}</Button>
      <ModalOverlay isOpen={isOpen} onOpenChange={setIsOpen} isDismissable className="overlay">
        <Modal>
          <Dialog className="palette">
            <Heading slot="title" className="unseen">{say('search')}</Heading>
            <Results onDone={() => setIsOpen(false)} />
          </Dialog>
        </Modal>
      </ModalOverlay>
    </>
  )
}

function Results(props: { onDone: () => void }) {
  const say = useSay()
  const navigate = useNavigate()
  const { role } = useSession()
  const [words, setWords] = useState('')
  const [at, setAt] = useState(0)
  const asked = words.trim()
  const found = useQuery({
    queryKey: ['search', asked],
    enabled: asked.length >= LEAST_LETTERS,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => {
      const kinds = Object.keys(PLACES).filter((kind) => kind !== 'user' || role === 'admin').join(',')
      const query = { q: asked, kinds, limit: MOST_OF_KIND }
      return data(api.GET('/v1/search', { params: { query }, signal }))
    },
  })
  const pages = pagesFor(role)
    .map(({ name, place }) => ({ key: place, title: say(name), kind: say('page'), place }))
    .filter(({ title }) => title.toLocaleLowerCase().includes(asked.toLocaleLowerCase()))
  const things = (asked.length >= LEAST_LETTERS ? (found.data?.data ?? []) : []).map(
    ({ kind, id, title }): Entry => ({ key: id, title: title ?? id, kind: say(`kind-of-${kind}`), place: PLACES[kind]!(id) }),
  )
  const entries: Entry[] = [...things, ...pages]
  const chosen = Math.min(at, entries.length - 1)

  function go(entry: Entry | undefined) {
    if (entry === undefined) return
    props.onDone()
    void navigate(entry.place)
  }

  return (
    <>
      <input
        type="search"
        role="combobox"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={entries[chosen] && `found-${chosen}`}
        aria-label={say('search')}
        placeholder={say('search-hint')}
        autoFocus
        maxLength={60}
        value={words}
        onChange={(event) => {
          setWords(event.target.value)
          setAt(0)
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') setAt(Math.min(chosen + 1, entries.length - 1))
          else if (event.key === 'ArrowUp') setAt(Math.max(chosen - 1, 0))
          else if (event.key === 'Enter') go(entries[chosen])
          else return
          event.preventDefault()
        }}
      />
      <ul id="found" role="listbox" aria-label={say('found')}>
        {entries.map((entry, number) => (
          <li
            key={entry.key}
            id={`found-${number}`}
            role="option"
            aria-selected={number === chosen}
            onClick={() => go(entry)}
          >
            <span dir="auto">{entry.title}</span> <span className="small">{entry.kind}</span>
          </li>
        ))}
      </ul>
      {entries.length === 0 && <Note kind="plain">{say('nothing-found')}</Note>}
    </>
  )
}
