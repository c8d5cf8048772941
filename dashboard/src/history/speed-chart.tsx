import { useMemo } from 'react'
import { speedText } from '../texts/display'
import { speedsOf, type Fix } from './track'

const PARTS = 240
const HEIGHT = 40

/** The greatest speeds over a time, with the instant that is shown. */
export function SpeedChart(props: { label: string; fixes: readonly Fix[]; from: number; to: number; at: number }) {
  const { fixes, from, to } = props
  const speeds = useMemo(() => speedsOf(fixes, from, to, PARTS), [fixes, from, to])
  const most = Math.max(1, ...speeds.map((speed) => speed ?? 0))
  const now = ((props.at - from) / (to - from)) * PARTS
  return (
    <svg
      className="speeds"
      viewBox={`0 0 ${PARTS} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${props.label}: ${speedText(most)}`}
    >
      {speeds.map((speed, part) => {
        const height = ((speed ?? 0) / most) * HEIGHT
        return height > 0 && <rect key={part} x={part} y={HEIGHT - height} width="1" height={height} />
      })}
      <line x1={now} x2={now} y1="0" y2={HEIGHT} />
    </svg>
  )
}
