import { useState } from 'react'
import { useSay } from '../texts/texts'
import { Choice } from './choice'
import { Button } from './forms'

const OVERLAPS = ['0', '3600', '86400', '604800', '2592000'] as const
type Overlap = (typeof OVERLAPS)[number]

/** A new secret for something, and for how long the one before is good, too: up to `most_s`. */
export function Rotation(props: { hint: string; most_s: number; isPending: boolean; onRotate: (overlap_s: number) => void }) {
  const say = useSay()
  const [overlap, setOverlap] = useState<Overlap>('86400')
  const overlaps = OVERLAPS.filter((each) => Number(each) <= props.most_s)
  return (
    <section className="stack" aria-label={say('rotate')}>
      <p>{props.hint}</p>
      <div className="row">
        <Choice
          label={say('old-secret-ends')}
          value={overlap}
          values={overlaps}
          texts={overlaps.map((each) => say(`overlap-${each}`))}
          onChoose={setOverlap}
        />
        <Button look="main" isPending={props.isPending} onPress={() => props.onRotate(Number(overlap))}>{say('rotate')}</Button>
      </div>
    </section>
  )
}
