import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LiveSocket, PING_MS, SILENCE_MS, type Receiver } from './socket'

class FakeSocket {
  static OPEN = 1
  static made: FakeSocket[] = []
  readyState = 1
  sent: Record<string, unknown>[] = []
  isClosed = false
  onopen: (() => void) | null = null
  onmessage: ((message: { data: string }) => void) | null = null
  onclose: ((close: { code: number; reason: string }) => void) | null = null

  constructor() {
    FakeSocket.made.push(this)
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>)
  }
  close() {
    this.isClosed = true
  }
  say(message: object) {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
  begin(after: number) {
    this.onopen?.()
    this.say({ op: 'authenticated' })
    this.say({ op: 'subscribed', id: 1, channel: 'events', after })
  }
}

const newest = () => FakeSocket.made.at(-1)!
const subscription = () => newest().sent.find((message) => message.channel === 'events')

describe('the live connection', () => {
  const receiver = {
    positions: vi.fn(),
    people: vi.fn(),
    peopleHidden: vi.fn(),
    event: vi.fn(),
    gap: vi.fn(),
    state: vi.fn(),
  } satisfies Receiver
  let socket: LiveSocket

  beforeEach(() => {
    vi.useFakeTimers()
    FakeSocket.made = []
    for (const each of Object.values(receiver)) each.mockClear()
    vi.stubGlobal('WebSocket', FakeSocket)
    vi.stubGlobal('window', globalThis)
    vi.stubGlobal('location', { protocol: 'http:', host: 'x' })
    socket = new LiveSocket(receiver)
  })
  afterEach(() => {
    socket.close()
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('reads on behind the last event', () => {
    newest().begin(7)
    expect(receiver.state).toHaveBeenLastCalledWith('open', '')
    expect(receiver.gap).toHaveBeenCalledTimes(1)
    newest().say({ op: 'event', event: { id: 'evt', seq: 9 } })
    newest().onclose?.({ code: 1012, reason: '{"code":"restarting","seq":9}' })
    expect(receiver.state).toHaveBeenLastCalledWith('lost', 'restarting')
    vi.advanceTimersByTime(2_000)
    newest().begin(9)
    expect(subscription()).toMatchObject({ after: 9 })
    expect(receiver.gap).toHaveBeenCalledTimes(1)
  })

  it('begins from now on where the events behind it are gone', () => {
    newest().begin(7)
    newest().onclose?.({ code: 4010, reason: '{"code":"events_gone"}' })
    vi.advanceTimersByTime(2_000)
    newest().begin(50)
    expect(subscription()).not.toHaveProperty('after')
    expect(receiver.gap).toHaveBeenCalledTimes(2)
  })

  it('is lost where nothing comes for long', () => {
    newest().begin(7)
    vi.advanceTimersByTime(SILENCE_MS + PING_MS)
    expect(receiver.state).toHaveBeenCalledWith('lost', '')
    expect(FakeSocket.made[0]!.isClosed).toBe(true)
  })

  it('tries again where it may not subscribe just now', () => {
    newest().onopen?.()
    newest().say({ op: 'authenticated' })
    newest().say({ op: 'error', id: 1, code: 'rate_limited' })
    expect(receiver.state).toHaveBeenLastCalledWith('lost', 'rate_limited')
    expect(receiver.state).not.toHaveBeenCalledWith('open', '')
    vi.advanceTimersByTime(2_000)
    expect(FakeSocket.made).toHaveLength(2)
  })

  it('ends where the person has to sign in', () => {
    newest().onclose?.({ code: 4001, reason: '{"code":"unauthorized"}' })
    expect(receiver.state).toHaveBeenLastCalledWith('ended', 'unauthorized')
    vi.advanceTimersByTime(120_000)
    expect(FakeSocket.made).toHaveLength(1)
  })

  it('watches employees while they are shown', () => {
    const told = () => newest().sent.filter(({ id }) => id === 4).map(({ op, of }) => [op, of])
    socket.watchPeople(true)
    expect(told()).toEqual([])
    newest().begin(7)
    expect(told()).toEqual([['subscribe', 'employees']])
    newest().say({ op: 'positions', id: 4, positions: [{ id: 'emp' }] })
    expect(receiver.people).toHaveBeenCalledWith([{ id: 'emp' }])
    expect(receiver.positions).not.toHaveBeenCalled()
    socket.watchPeople(false)
    socket.watchPeople(true)
    expect(told().slice(1)).toEqual([['unsubscribe', undefined], ['subscribe', 'employees']])
    newest().onclose?.({ code: 4003, reason: '{"code":"employees_not_shown","seq":7}' })
    expect(receiver.peopleHidden).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(2_000) // all else goes on
    newest().begin(7)
    newest().say({ op: 'error', id: 4, code: 'employees_not_shown' })
    expect(receiver.peopleHidden).toHaveBeenCalledTimes(2)
    expect(receiver.state).toHaveBeenLastCalledWith('open', '')
  })

  it('says nothing after it was closed', () => {
    newest().begin(7)
    socket.close()
    newest().say({ op: 'event', event: { id: 'evt', seq: 9 } })
    expect(receiver.event).not.toHaveBeenCalled()
  })
})
