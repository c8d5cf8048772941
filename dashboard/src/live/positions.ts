/** The newest position of each asset, outside of React: it changes many times a second. */
import type { Schemas } from '../api/client'

export type LivePosition = Schemas['AssetPosition']
export type State = 'moving' | 'standing' | 'silent' | 'unknown'

export const STATES: readonly State[] = ['moving', 'standing', 'silent', 'unknown']
const MOVING_MPS = 1
const SILENT_MS = 5 * 60_000

/** What a position says of an asset at an instant, in milliseconds since 1970. */
export function stateOf(item: LivePosition, now: number): State {
  const position = item.position
  if (position === null) return 'unknown'
  if (now - Date.parse(position.time) > SILENT_MS) return 'silent'
  return (position.speed_mps ?? 0) >= MOVING_MPS ? 'moving' : 'standing'
}

function isNewer(item: LivePosition, time: string): boolean {
  return item.position !== null && Date.parse(item.position.time) >= Date.parse(time)
}

type Listener = () => void

/**
 * Positions by asset. Readers are told at most once a frame, whatever comes.
 */
export class PositionStore {
  private items = new Map<string, LivePosition>()
  private shown: readonly LivePosition[] = []
  private listeners = new Set<Listener>()
  private isTelling = false

  /** Take what came. An older position, or none, never replaces a newer one. */
  put(news: readonly LivePosition[]): void {
    for (const item of news) {
      const known = this.items.get(item.id)?.position
      if (known && !isNewer(item, known.time)) continue
      this.items.set(item.id, item)
    }
    this.tell()
  }

  clear(): void {
    this.items.clear()
    this.tell()
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** All items, by name. The same array until something changes. */
  all = (): readonly LivePosition[] => this.shown

  private tell(): void {
    if (this.isTelling) return
    this.isTelling = true
    requestAnimationFrame(() => {
      this.isTelling = false
      const order = new Intl.Collator(undefined, { numeric: true })
      this.shown = [...this.items.values()].sort((one, other) => order.compare(one.name, other.name))
      for (const listener of this.listeners) listener()
    })
  }
}
