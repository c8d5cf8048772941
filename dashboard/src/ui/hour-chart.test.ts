import { expect, it } from 'vitest'
import { everyHour, HOUR_MS } from './hour-chart'

it('has every hour once, also those of which nothing is known', () => {
  const from = Date.UTC(2026, 2, 1, 6, 30)
  const known = [{ at: Date.UTC(2026, 2, 1, 7), good: 3, bad: 1 }]
  const hours = everyHour(known, from, from + 3 * HOUR_MS)
  expect(hours.map(({ at }) => new Date(at).getUTCHours())).toEqual([6, 7, 8, 9])
  expect(hours.map(({ good, bad }) => good + bad)).toEqual([0, 4, 0, 0])
})
