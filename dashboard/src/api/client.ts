/** The API's client. Its types are generated from the OpenAPI document, by `tests/dashboard/test_source.py`. */
import createClient from 'openapi-fetch'
import type { components, paths } from './schema'
import { problemIn } from './problem'

export type Schemas = components['schemas']

let csrfToken: string | null = null

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
    return request
  },
})

/** The data of an answer. Throws Problem. */
export async function data<T>(
  asked: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const answer = await asked
  if (!answer.response.ok) throw problemIn(answer.response, answer.error)
  return answer.data as T
}
