import { useSearchParams } from 'react-router'
import { useSay } from '../texts/texts'
import { instantOfInput } from '../texts/times'
import { TextInput } from './forms'

/** Filters of a list, which the address keeps: a name that is not there is ''. */
export function useFilters<Name extends string>(names: readonly Name[]) {
  const [address, setAddress] = useSearchParams()
  const filters = filtersOf(names, address)
  function set(changes: Partial<Record<Name, string>>) {
    const before = filtersOf(names, new URLSearchParams(location.search)) // as it is now: this page may be drawn later
    const given = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== '')
    setAddress(Object.fromEntries(given) as Record<string, string>, { replace: true })
  }
  return [filters, set] as const
}

function filtersOf<Name extends string>(names: readonly Name[], address: URLSearchParams) {
  return Object.fromEntries(names.map((name) => [name, address.get(name) ?? ''])) as Record<Name, string>
}

/** The filters that are given, as a part of a query. */
export function given<Filters extends Record<string, string | undefined>>(filters: Filters) {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value)) as {
    [Name in keyof Filters]?: Exclude<Filters[Name], undefined>
  }
}

/** A time of the person's clock, as the API takes it; undefined: none, or one that is half typed. */
export function timeOf(text: string): string | undefined {
  const at = instantOfInput(text)
  return at === null ? undefined : new Date(at).toISOString()
}

/** From when to when. */
export function SpanFilter(props: { from: string; to: string; onChange: (changes: { from?: string; to?: string }) => void }) {
  const say = useSay()
  return (
    <>
      <TextInput type="datetime-local" label={say('from')} value={props.from} onChange={(from) => props.onChange({ from })} />
      <TextInput type="datetime-local" label={say('to')} value={props.to} onChange={(to) => props.onChange({ to })} />
    </>
  )
}
