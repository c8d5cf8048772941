import { useEffect, useState } from 'react'
import { useSay } from '../texts/texts'
import { TextInput } from '../ui/forms'
import type { Drawn } from './drawing'
import { numberOf } from './facts'

/** A centre by numbers, beside the map. */
export function Centre(props: { drawn: Drawn | null; onChange: (drawn: Drawn) => void }) {
  const say = useSay()
  const [lon, lat] = props.drawn?.type === 'Point' ? props.drawn.coordinates : []
  const [texts, setTexts] = useState<{ lon: string; lat: string } | null>(null)
  const shown = texts ?? { lon: String(lon ?? ''), lat: String(lat ?? '') }
  useEffect(() => {
    // It was set on the map: what is typed says another number.
    setTexts((typed) => (typed && numberOf(typed.lon) === lon && numberOf(typed.lat) === lat ? typed : null))
  }, [lon, lat])
  const set = (changes: Partial<typeof shown>) => {
    const next = { ...shown, ...changes }
    setTexts(next)
    if (next.lon.trim() === '' || next.lat.trim() === '') return
    const coordinates = [numberOf(next.lon), numberOf(next.lat)]
    if (coordinates.every(Number.isFinite)) props.onChange({ type: 'Point', coordinates })
  }
  return (
    <div className="row">
      <TextInput label={say('latitude')} inputMode="decimal" value={shown.lat} onChange={(text) => set({ lat: text })} />
      <TextInput label={say('longitude')} inputMode="decimal" value={shown.lon} onChange={(text) => set({ lon: text })} />
    </div>
  )
}
