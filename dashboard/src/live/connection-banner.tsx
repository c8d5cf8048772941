import { useSay } from '../texts/texts'
import { Button } from '../ui/forms'
import { useConnection } from './live'

/** Says that what is shown is not live, until it is again. */
export function ConnectionBanner() {
  const say = useSay()
  const { state, code, hurry } = useConnection()
  if (state === 'open' || state === 'connecting') return null
  const name = `live-${state}-${code.replaceAll('_', '-')}`
  const text = say(name) === name ? say(`live-${state}`) : say(name)
  return (
    <div className="banner" role="status">
      {text}
      {state === 'lost' && <Button onPress={hurry}>{say('connect-now')}</Button>}
    </div>
  )
}
