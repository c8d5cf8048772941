/** The API's client. Its types are generated from the OpenAPI document, by `tests/dashboard/test_source.py`. */
import createClient from 'openapi-fetch'
import type { components, paths } from './schema'
import { problemIn } from './problem'

export type Schemas = components['schemas']

let csrfToken: string | null = null
/** Behind the newest change of this page: what is read from now on has to show it. */
let position = 0

/** Set what goes with each request that changes something; null: nobody is signed in. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token
}

export const api = createClient<paths>({ credentials: 'same-origin' })

api.use({
  onRequest({ request }) {
    if (csrfToken !== null && request.method !== 'GET') {
      request.headers.set('X-CSRF-Token', csrfToken)
    }
    if (position > 0) request.headers.set('OPSC-Position', String(position))
    return request
  },
  onResponse({ response }) {
    position = Math.max(position, Number(response.headers.get('OPSC-Position') ?? 0))
  },
})

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** The data of an answer, which is JSON unless another type was asked for. Throws Problem. */
export async function data<T>(asked: Promise<Answer<T>>): Promise<Exclude<T, string>> {
  const answer = await asked
  if (!answer.response.ok) throw problemIn(answer.response, answer.error)
  return answer.data as Exclude<T, string>
}

/** A thing as it was read, with its entity tag: a change that names the tag is refused where
 *  somebody else has changed the thing meanwhile. */
export interface Tagged<T> {
  item: T
  tag: string | null
}

/** The data of an answer about one thing. Throws Problem. */
export async function tagged<T>(asked: Promise<Answer<T>>): Promise<Tagged<T>> {
  const answer = await asked
  return { item: await data(Promise.resolve(answer)), tag: answer.response.headers.get('ETag') }
}

/** The header of a change of what was read with this tag. */
export function ifMatch(tag: string | null): { 'If-Match'?: string } {
  return tag === null ? {} : { 'If-Match': tag }
}
