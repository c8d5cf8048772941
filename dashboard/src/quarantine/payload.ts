const BYTES_OF_A_LINE = 16

/** A message as text: what is UTF-8 as it is, anything else byte by byte. */
export function payloadText(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (!/[\0-\x08\x0e-\x1f]/.test(text)) return text
  } catch {
    // not UTF-8
  }
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += BYTES_OF_A_LINE) {
    const part = [...bytes.subarray(at, at + BYTES_OF_A_LINE)]
    lines.push(part.map((each) => each.toString(16).padStart(2, '0')).join(' '))
  }
  return lines.join('\n')
}
