import { Fragment } from 'react'
import { Link } from 'react-router'
import type { Schemas } from '../api/client'
import { useSay } from '../texts/texts'
import { gatewayAddress, mqttServer } from '../trackers/addresses'
import { Note } from '../ui/forms'
import { QrCode } from '../ui/qr-code'
import { CopyButton } from '../ui/table'
import { PROGRAMS } from './kinds'

/** The address that a gateway forwards to, which is shown once, and what is set there. */
export function GatewaySetUp(props: { gateway: Schemas['NewGatewayItem'] }) {
  const say = useSay()
  const { id, secret, name, kind } = props.gateway
  const { settings, byMqtt, deviceId } = PROGRAMS[kind]
  const address = gatewayAddress(props.gateway, location)
  return (
    <Note kind="good">
      <p>{say('gateway-shown-once', { name })}</p>
      <code className="secret">{address}</code>
      <CopyButton text={address} />
      <div className="set-up">
        <div>
          <p>{say(`gateway-set-up-${kind}`)}</p>
          <dl className="facts">
            {settings.map(([setting, value]) => (
              <Fragment key={setting}>
                <dt>{setting}</dt>
                <dd>{value === null ? say('gateway-address') : <code>{value}</code>}</dd>
              </Fragment>
            ))}
          </dl>
          {byMqtt !== null && (
            <>
              <p>{say('gateway-by-mqtt')}</p>
              <dl className="facts">
                <dt>{say('mqtt-server')}</dt>
                <dd><code>{mqttServer(location)}</code></dd>
                <dt>{say('user-name')}</dt>
                <dd><code>{id}</code></dd>
                <dt>{say('password-once')}</dt>
                <dd><code>{secret}</code> <CopyButton text={secret} /></dd>
                {byMqtt.map(([setting, value]) => (
                  <Fragment key={setting}>
                    <dt>{setting}</dt>
                    <dd><code>{value}</code></dd>
                  </Fragment>
                ))}
              </dl>
            </>
          )}
        </div>
        <figure>
          <QrCode label={say('gateway-code')} text={address} />
          <figcaption className="small">{say('gateway-code-hint')}</figcaption>
        </figure>
      </div>
      <p>
        {say('gateway-devices', { id: deviceId })} <Link to="/trackers">{say('trackers')}</Link>
      </p>
      <p>
        {say('gateway-devices-that-send')} <Link to="/unknown-devices">{say('unknown-devices')}</Link>
      </p>
    </Note>
  )
}
