import { useEffect, useState } from 'react'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { useSession } from './session'

const NOTICE_MS = 3_600_000
const LONGEST_MS = 2 ** 31 - 1 // of a timer

/** Says an hour before that the session ends, whatever is done. */
export function SessionEnd() {
  const say = useSay()
  const language = useLanguage()
  const { expiresAt } = useSession()
  const [isNear, setIsNear] = useState(false)
  useEffect(() => {
    const left = expiresAt - NOTICE_MS - Date.now()
    setIsNear(left <= 0)
    const timer = setTimeout(() => setIsNear(Date.now() >= expiresAt - NOTICE_MS), Math.min(Math.max(left, 0), LONGEST_MS))
    return () => clearTimeout(timer)
  }, [expiresAt])
  if (!isNear) return null
  return <div className="banner" role="status">{say('session-ends', { time: timeText(language, new Date(expiresAt).toISOString()) })}</div>
}
