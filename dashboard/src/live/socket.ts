/** The WebSocket of live events and positions (docs/live.md), which connects again by itself. */
import type { Schemas } from '../api/client'
import type { StatedPosition } from './positions'

export type ConnectionState = 'connecting' | 'open' | 'lost' | 'ended'
export type LiveEvent = Schemas['EventItem']

export interface Receiver {
  positions(items: readonly StatedPosition[]): void
  people(items: readonly StatedPosition[]): void
  /** Where employees are is not to be seen any more. */
  peopleHidden(): void
  event(event: LiveEvent): void
  /** Events may be missing between what was read before and what comes now: read it anew. */
  gap(): void
  state(state: ConnectionState, code: string): void
}

interface Message {
  op: string
  id?: number
  channel?: string
  code?: string
  positions?: StatedPosition[]
  event?: LiveEvent & { seq: number }
  after?: number
  seq?: number
}

const [EVENTS, POSITIONS, PING, PEOPLE] = [1, 2, 3, 4] // ids of our messages
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
export const PING_MS = 20_000
/** Longer without a message, the connection is held to be lost: each ping has an answer. */
export const SILENCE_MS = 2 * PING_MS
// The person has to sign in again, or may not read: to connect again would not help.
const FINAL = new Set(['unauthorized', 'forbidden', 'plan_required'])
const HIDDEN = 'employees_not_shown'
const FORBIDDEN = 'forbidden'
const CLOSE_IS_UNAUTHORIZED = 4001

/** A connection until `close`. It reads on behind the last event that it has seen. */
export class LiveSocket {
  private socket: WebSocket | null = null
  private after: number | null = null
  private pause = FIRST_PAUSE_MS
  private timer = 0
  private pinging = 0
  private heardAt = 0
  private isClosed = false
  private isSignedIn = false
  private watchesPeople = false

  constructor(private readonly receiver: Receiver) {
    this.connect()
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
    this.drop()
  }

  /** Connect now: the network is another one, or somebody does not want to wait. */
  hurry = (): void => {
    if (this.isClosed) return
    this.drop()
    this.connect()
  }

  /** Say whether employees are watched, too: now, and whenever it connects again. */
  watchPeople(isWanted: boolean): void {
    if (this.watchesPeople === isWanted) return
    this.watchesPeople = isWanted
    if (!this.isSignedIn) return
    if (isWanted) this.subscribeToPeople()
    else this.send({ op: 'unsubscribe', id: PEOPLE })
  }

  private subscribeToPeople(): void {
    this.send({ op: 'subscribe', id: PEOPLE, channel: 'positions', of: 'employees' })
  }

  private connect(): void {
    clearTimeout(this.timer)
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const socket = new WebSocket(`${scheme}://${location.host}/v1/ws`)
    this.socket = socket
    this.heardAt = Date.now()
    this.pinging = window.setInterval(() => this.ping(), PING_MS)
    socket.onopen = () => this.send({ op: 'authenticate' })
    socket.onmessage = (message) => {
      this.heardAt = Date.now()
      this.take(JSON.parse(String(message.data)) as Message)
    }
    socket.onclose = (close) => this.lost(codeOf(close))
  }

  private ping(): void {
    if (Date.now() - this.heardAt >= SILENCE_MS) this.lost('')
    else this.send({ op: 'ping', id: PING })
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private take(message: Message): void {
    switch (message.op) {
      case 'authenticated':
        this.send({ op: 'subscribe', id: EVENTS, channel: 'events', ...(this.after === null ? {} : { after: this.after }) })
        this.send({ op: 'subscribe', id: POSITIONS, channel: 'positions' })
        this.isSignedIn = true
        if (this.watchesPeople) this.subscribeToPeople()
        break
      case 'subscribed':
        if (message.channel === 'events') this.begun(message.after ?? null)
        break
      case 'error':
        if (message.id === EVENTS || message.id === POSITIONS) {
          // A place that is not there any more, as after a restored backup: begin from now on.
          if (message.id === EVENTS && message.code === 'bad_message') this.after = null
          this.lost(message.code ?? '')
        } else if (message.id === PEOPLE && (message.code === HIDDEN || message.code === FORBIDDEN)) this.receiver.peopleHidden()
        else if (message.id === PEOPLE && this.watchesPeople) this.lost(message.code ?? '')
        break
      case 'positions':
        if (message.id === PEOPLE) this.receiver.people(message.positions ?? [])
        else this.receiver.positions(message.positions ?? [])
        break
      case 'event':
        if (message.event) {
          this.after = message.event.seq
          this.receiver.event(message.event)
        }
        break
      case 'pong':
        this.after = message.seq ?? this.after
    }
  }

  /** Events are read from now on. after: the seq that they come behind. */
  private begun(after: number | null): void {
    this.pause = FIRST_PAUSE_MS
    this.receiver.state('open', '')
    if (this.after === null) {
      this.after = after
      this.receiver.gap()
    }
  }

  /** Let go of the connection that there is, without a word. */
  private drop(): void {
    clearInterval(this.pinging)
    this.isSignedIn = false
    const socket = this.socket
    this.socket = null
    if (socket === null) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private lost(code: string): void {
    this.drop()
    if (this.isClosed) return
    if (code === 'events_gone') this.after = null
    if (code === HIDDEN) this.receiver.peopleHidden()
    if (FINAL.has(code)) {
      this.receiver.state('ended', code)
      return
    }
    this.receiver.state('lost', code)
    const pause = this.pause * (0.75 + Math.random() / 2)
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS)
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => this.connect(), pause)
  }
}

function codeOf(close: CloseEvent): string {
  try {
    return String((JSON.parse(close.reason) as { code: unknown }).code)
  } catch {
    return close.code === CLOSE_IS_UNAUTHORIZED ? 'unauthorized' : ''
  }
}
