import { expect, it } from 'vitest'
import { headersOf } from './headers'

it('reads a header of each line', () => {
  expect(headersOf('x-api-key: a secret\n\nX-Way:  b:c \n')).toEqual({ 'x-api-key': 'a secret', 'X-Way': 'b:c' })
  expect(headersOf('x-api-key')).toBe(null)
  expect(headersOf(': value')).toBe(null)
})
