/** The WebSocket of live events and positions (docs/live.md), which connects again by itself. */
import type { Schemas } from '../api/client'
import type { LivePosition } from './positions'

export type ConnectionState = 'connecting' | 'open' | 'lost' | 'ended'
export type LiveEvent = Schemas['EventItem']

export interface Receiver {
  positions(items: readonly LivePosition[]): void
  event(event: LiveEvent): void
  /** Events may be missing between what was read before and what comes now: read it anew. */
  gap(): void
  state(state: ConnectionState, code: string): void
}

interface Message {
  op: string
  channel?: string
  positions?: LivePosition[]
  event?: LiveEvent & { seq: number }
  after?: number
  seq?: number
}

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
const PING_MS = 20_000
// The person has to sign in again, or may not read: to connect again would not help.
const FINAL = new Set(['unauthorized', 'forbidden', 'plan_required'])
const CLOSE_IS_UNAUTHORIZED = 4001

/** A connection until `close`. It reads on behind the last event that it has seen. */
export class LiveSocket {
  private socket: WebSocket | null = null
  private after: number | null = null
  private pause = FIRST_PAUSE_MS
  private timer = 0
  private pinging = 0
  private isClosed = false

  constructor(private readonly receiver: Receiver) {
    this.connect()
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
    clearInterval(this.pinging)
    this.socket?.close()
  }

  /** Connect now, where a pause was under way. */
  hurry = (): void => {
    if (this.timer !== 0 && !this.isClosed) this.connect()
  }

  private connect(): void {
    clearTimeout(this.timer)
    this.timer = 0
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    const socket = new WebSocket(`${scheme}://${location.host}/v1/ws`)
    this.socket = socket
    socket.onopen = () => this.send({ op: 'authenticate' })
    socket.onmessage = (message) => this.take(JSON.parse(String(message.data)) as Message)
    socket.onclose = (close) => this.closed(close)
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private take(message: Message): void {
    switch (message.op) {
      case 'authenticated':
        this.pause = FIRST_PAUSE_MS
        this.send({ op: 'subscribe', id: 1, channel: 'events', ...(this.after === null ? {} : { after: this.after }) })
        this.send({ op: 'subscribe', id: 2, channel: 'positions' })
        clearInterval(this.pinging)
        this.pinging = window.setInterval(() => this.send({ op: 'ping', id: 3 }), PING_MS)
        this.receiver.state('open', '')
        break
      case 'subscribed':
        if (message.channel === 'events' && this.after === null) {
          this.after = message.after ?? null
          this.receiver.gap()
        }
        break
      case 'positions':
        this.receiver.positions(message.positions ?? [])
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

  private closed(close: CloseEvent): void {
    clearInterval(this.pinging)
    this.socket = null
    if (this.isClosed) return
    const code = codeOf(close)
    if (code === 'events_gone') this.after = null
    if (FINAL.has(code)) {
      this.receiver.state('ended', code)
      return
    }
    this.receiver.state('lost', code)
    const pause = this.pause * (0.75 + Math.random() / 2)
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS)
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
