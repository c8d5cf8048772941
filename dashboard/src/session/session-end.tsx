import { useEffect, useState } from 'react'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { useSession } from './session'

const NOTICE_MS = 3_600_000
const LOOK_MS = 30_000

/** Says an hour before that the session ends, whatever is done. */
export function SessionEnd() {
  const say = useSay()
  const language = useLanguage()
  const { expiresAt } = useSession()
  const [isNear, setIsNear] = useState(false)
  useEffect(() => {
    const look = () => setIsNear(Date.now() >= expiresAt - NOTICE_MS)
    look()
    const timer = setInterval(look, LOOK_MS)
    return () => clearInterval(timer)
  }, [expiresAt])
  if (!isNear) return null
  return <div className="banner" role="status">{say('session-ends', { time: timeText(language, new Date(expiresAt).toISOString()) })}</div>
}
