/** The list beside the map, which is as good without it: every asset and person, with state and age. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef, useState } from 'react'
import { isPerson } from '../live/people'
import { stateOf, type LivePosition } from '../live/positions'
import { useSay } from '../texts/texts'
import { ago } from '../texts/times'
import { Mark, stateName } from './mark'

const ROW_PX = 56

/** The time now, which moves on by itself. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

export function AssetList(props: {
  label: string
  items: readonly LivePosition[]
  chosen: string | null
  onChoose: (id: string | null) => void
}) {
  const say = useSay()
  const now = useNow(1_000)
  const frame = useRef<HTMLDivElement>(null)
  const rows = useVirtualizer({
    count: props.items.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  })
  return (
    <div ref={frame} className="asset-list">
      <ul style={{ height: rows.getTotalSize() }} aria-label={props.label}>
        {rows.getVirtualItems().map((row) => {
          const item = props.items[row.index]!
          const state = stateOf(item, now)
          const isChosen = item.id === props.chosen
          return (
            <li
              key={item.id}
              aria-setsize={props.items.length}
              aria-posinset={row.index + 1}
              style={{ transform: `translateY(${row.start}px)` }}
            >
              <button
                type="button"
                aria-pressed={isChosen}
                onClick={() => props.onChoose(isChosen ? null : item.id)}
              >
                <Mark id={item.id} state={state} />
                <span className="asset-name" dir="auto">{item.name}</span>
                <span className="small">
                  {isPerson(item.id) && `${say('person')} · `}
                  {say(stateName(item.id, state))}
                  {item.position && ` · ${ago(say, item.at, now)}`}
                </span>
              </button>
            </li>
          )
        })}
      </ul>
    </div>
  )
}
