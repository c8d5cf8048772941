/** Numbers as people write them: with a point or a comma, in a unit of theirs. */

/** A number of the API in the unit that is shown, `factor` of which are one of the API's; null: ''. */
export function numberText(language: string, value: number | null, factor = 1): string {
  if (value === null) return ''
  const style = { useGrouping: false, maximumFractionDigits: 6 }
  return new Intl.NumberFormat(language, style).format(value * factor)
}

/**
 * The same back: null where nothing is given, NaN where it is no number, or may be another one: the
 * sign between thousands is one between a number and its parts elsewhere.
 */
export function numberOf(language: string, text: string, factor = 1): number | null {
  const thousands = language === 'de' ? /\.\d{3}$/ : /,\d{3}$/
  if (thousands.test(text.trim())) return NaN
  const given = text.trim().replace(',', '.')
  return given === '' ? null : Number((Number(given) / factor).toPrecision(12))
}
