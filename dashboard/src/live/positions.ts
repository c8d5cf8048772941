/** The newest position of each asset or employee, outside of React: it changes many times a second. */
import type { Schemas } from '../api/client'

/** A position as the API has it, of an asset or an employee: they have the same fields. */
export type StatedPosition = Schemas['AssetPosition']
/** at: the time of the position, in milliseconds since 1970; NaN where there is none. Reading it anew takes long. */
export interface LivePosition extends StatedPosition {
  at: number
}
export type State = 'moving' | 'standing' | 'silent' | 'unknown'

/** An asset by its name. */
export interface AssetName {
  id: string
  name: string
}

export const STATES: readonly State[] = ['moving', 'standing', 'silent', 'unknown']
const MOVING_MPS = 1
const SILENT_MS = 5 * 60_000
const MANY = 1_000
const MANY_PAUSE_MS = 400 // drawing many takes its time

/** A position, with its time as a number. */
export function live(item: StatedPosition): LivePosition {
  return { ...item, at: item.position === null ? NaN : Date.parse(item.position.time) }
}

/** What a position says of an asset at an instant, in milliseconds since 1970. */
export function stateOf({ position, at }: LivePosition, now: number): State {
  if (position === null) return 'unknown'
  if (now - at > SILENT_MS) return 'silent'
  return (position.speed_mps ?? 0) >= MOVING_MPS ? 'moving' : 'standing'
}

type Listener = () => void

/** Whether an item is at least as new as what is known. */
function isNewer(item: LivePosition, known: LivePosition | undefined): boolean {
  return !known?.position || item.at >= known.at
}

/** Positions by asset. Readers are told at most once a frame, and of many assets less often. */
export class PositionStore {
  private items = new Map<string, LivePosition>()
  private shown: readonly LivePosition[] = []
  private shownNames: readonly AssetName[] = []
  private listeners = new Set<Listener>()
  private isTelling = false
  private isRenamed = false // an asset came, went, or has another name
  private order = new Intl.Collator(undefined, { numeric: true })

  /**
   * Take what came live. An older position never replaces a newer one. An asset that had a position
   * and has none any more is deleted.
   */
  put(news: readonly StatedPosition[]): void {
    for (const item of news.map(live)) {
      const known = this.items.get(item.id)
      if (item.position === null && known?.position) {
        this.items.delete(item.id)
        this.isRenamed = true
      } else if (isNewer(item, known)) {
        this.items.set(item.id, item)
        if (known?.name !== item.name) this.isRenamed = true
      }
    }
    this.tell()
  }

  /** Take all assets that there are, as they were read: no others are left. */
  replace(all: readonly StatedPosition[]): void {
    const known = this.items
    this.items = new Map(
      all.map(live).map((item) => {
        const before = known.get(item.id)
        return [item.id, before && !isNewer(item, before) ? { ...before, name: item.name } : item]
      }),
    )
    this.isRenamed = true
    this.tell()
  }

  /** Forget everything, at once. */
  clear(): void {
    this.items.clear()
    this.shown = []
    this.shownNames = []
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** All items, by name. The same array until something changes. */
  all = (): readonly LivePosition[] => this.shown

  /** All assets, by name. The same array until one comes, goes or is renamed. */
  names = (): readonly AssetName[] => this.shownNames

  private tell(): void {
    if (this.isTelling) return
    this.isTelling = true
    const show = () => requestAnimationFrame(() => this.show())
    if (this.shown.length < MANY) show()
    else setTimeout(show, MANY_PAUSE_MS)
  }

  private show(): void {
    this.isTelling = false
    if (this.isRenamed) this.sort()
    this.shown = this.shownNames.map(({ id }) => this.items.get(id)).filter((item) => item !== undefined)
    for (const listener of this.listeners) listener()
  }

  /** Comparing names takes long: it is done where one has changed. */
  private sort(): void {
    this.isRenamed = false
    const names = [...this.items.values()].map(({ id, name }) => ({ id, name }))
    names.sort((one, other) => this.order.compare(one.name, other.name))
    const isSame =
      names.length === this.shownNames.length &&
      names.every(({ id, name }, place) => this.shownNames[place]!.id === id && this.shownNames[place]!.name === name)
    if (!isSame) this.shownNames = names
  }
}
