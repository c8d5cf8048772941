import { expect, it } from 'vitest'
import { api } from './client'

it('reads what it has changed: the greatest position of an answer goes with all that follows', async () => {
  const sent: (string | null)[] = []
  const answered = ['7', '12', null, '9', null]
  const asked = { baseUrl: 'http://127.0.0.1', fetch: (request: Request) => {
    sent.push(request.headers.get('OPSC-Position'))
    const position = answered.shift()
    return Promise.resolve(Response.json({}, { headers: position ? { 'OPSC-Position': position } : {} }))
  } }
  for (let number = 0; number < 5; number += 1) await api.GET('/v1/visits', asked)
  expect(sent).toEqual([null, '7', '12', '12', '12'])
})
