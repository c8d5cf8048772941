/** The kinds of gateways: what each is called, and what is set in each so that it forwards. */
import type { Schemas } from '../api/client'

export type Kind = Schemas['GatewayItem']['kind']
export const KINDS = ['traccar', 'chirpstack', 'tts', 'generic'] as const satisfies readonly Kind[]

interface Program {
  title: string
  /** The name of a device's id there. */
  deviceId: string
  /** Names as the program has them, and their values; null: the address. */
  settings: readonly (readonly [string, string | null])[]
  /** The same where it sends by MQTT; null: it does not. Host, user name and password are shown beside. */
  byMqtt: readonly (readonly [string, string])[] | null
}

export const PROGRAMS: Record<Kind, Program> = {
  traccar: {
    title: 'Traccar',
    deviceId: 'uniqueId',
    settings: [['forward.type', 'json'], ['forward.url', null], ['forward.retry.enable', 'true']],
    byMqtt: [['forward.type', 'mqtt'], ['forward.topic', 'positions']],
  },
  chirpstack: {
    title: 'ChirpStack',
    deviceId: 'DevEUI',
    settings: [['Payload encoding', 'JSON'], ['Event endpoint URL(s)', null]],
    byMqtt: [['[integration.mqtt] json', 'true'], ['event_topic', 'application/{{application_id}}/device/{{dev_eui}}/event/{{event}}']],
  },
  tts: {
    title: 'The Things Stack',
    deviceId: 'DevEUI',
    settings: [['Webhook format', 'JSON'], ['Base URL', null], ['Enabled event types', 'Uplink message, Location solved']],
    byMqtt: null,
  },
  generic: {
    title: 'JSON',
    deviceId: 'id',
    settings: [['POST', null], ['Content-Type', 'application/json']],
    byMqtt: [],
  },
}

/** Where the values of a message stand: to begin with. */
export const EXAMPLE_MAPPING: Schemas['GatewayMapping'] = {
  device: '/id',
  lat: '/latitude',
  lon: '/longitude',
  time: '/time',
  time_unit: 'iso',
  accuracy_m: '/gps_accuracy',
  speed_unit: 'mps',
}
