/** What the API says of a zone while it is drawn and typed. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import type { NewZone } from './facts'

const PAUSE_MS = 400
export type Fault = Schemas['ZoneFault']
export interface Verdict {
  faults: readonly Fault[]
  area_m2: number | null
}

const NOTHING: Verdict = { faults: [], area_m2: null }

/** Faults of a body that is no zone are those of its problem. */
async function ask(body: NewZone): Promise<Verdict> {
  try {
    const { errors, area_m2 } = await data(api.POST('/v1/zones/validate', { body }))
    return { faults: errors, area_m2 }
  } catch (thrown) {
    const { document } = problemOf(thrown)
    if (document.status !== 422) throw thrown
    const faults = (document.errors ?? []).map(({ pointer = '', message }) => ({ pointer, message }))
    return { ...NOTHING, faults }
  }
}

/** A value once it has stayed the same for a while. */
function useSettled(value: string | null): string | null {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}

/** The verdict on a zone; of one that is not whole yet, null, there is none. */
export function useValidation(body: NewZone | null): Verdict {
  const settled = useSettled(body === null ? null : JSON.stringify(body))
  const { data: verdict } = useQuery({
    queryKey: ['zone-verdict', settled],
    enabled: settled !== null,
    queryFn: () => ask(JSON.parse(settled!) as NewZone),
    placeholderData: keepPreviousData,
    gcTime: 0,
    retry: false,
  })
  return (settled === null ? undefined : verdict) ?? NOTHING
}

/** The messages on what lies at a place of the body, or below it. */
export function faultsAt(faults: readonly Fault[], ...places: string[]): string[] {
  const isAt = (pointer: string) => places.some((place) => pointer === place || pointer.startsWith(`${place}/`))
  return faults.filter(({ pointer }) => isAt(pointer)).map(({ message }) => message)
}
