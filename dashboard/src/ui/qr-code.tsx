import { useMemo } from 'react'
import { encode } from 'uqr'

/** A text as a QR code, dark on light in any colour scheme: not all cameras read the other way. */
export function QrCode(props: { text: string; label: string }) {
  const { size, data } = useMemo(() => encode(props.text, { ecc: 'M', border: 4 }), [props.text])
  const path = data
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : '')))
    .join('')
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} shapeRendering="crispEdges" role="img" aria-label={props.label}>
      <rect width={size} height={size} fill="#ffffff" />
      <path d={path} fill="#000000" />
    </svg>
  )
}
