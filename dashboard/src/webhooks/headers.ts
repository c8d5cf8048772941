/** The headers of a text that has one a line, such as `x-api-key: secret`; null: a line is none. */
export function headersOf(text: string): Record<string, string> | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const end = line.indexOf(':')
    if (end < 1) return null
    headers[line.slice(0, end).trim()] = line.slice(end + 1).trim()
  }
  return headers
}
