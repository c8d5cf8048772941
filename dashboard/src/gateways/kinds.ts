/** The kinds of gateways: what each is called, and what is set in each so that it forwards. */
import type { Schemas } from '../api/client'

export type Kind = Schemas['GatewayItem']['kind']
export const KINDS = ['traccar', 'chirpstack', 'tts'] as const satisfies readonly Kind[]

interface Program {
  title: string
  /** The name of a device's id there. */
  deviceId: string
  /** Names as the program has them, and their values; null: the address. */
  settings: readonly (readonly [string, string | null])[]
}

export const PROGRAMS: Record<Kind, Program> = {
  traccar: {
    title: 'Traccar',
    deviceId: 'uniqueId',
    settings: [['forward.type', 'json'], ['forward.url', null], ['forward.retry.enable', 'true']],
  },
  chirpstack: {
    title: 'ChirpStack',
    deviceId: 'DevEUI',
    settings: [['Payload encoding', 'JSON'], ['Event endpoint URL(s)', null]],
  },
  tts: {
    title: 'The Things Stack',
    deviceId: 'DevEUI',
    settings: [['Webhook format', 'JSON'], ['Base URL', null], ['Enabled event types', 'Uplink message, Location solved']],
  },
}
