/** The release of many messages: one after the other, since an organization has few requests at a time. */
import { problemOf, type Problem } from '../api/problem'

export const MOST_RELEASED = 10_000 // in one go
const PAUSE_MS = 5_000
const MOST_PAUSES = 13 // a little more than the minute whose requests are used up

type Wait = (ms: number) => Promise<unknown>
const pause: Wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** How far it has come. refused: how many, by the code of the problem; what stopped it is `problem`. */
export interface Progress {
  released: number
  refused: ReadonlyMap<string, number>
  isRunning: boolean
  problem: Problem | null
}

export const NOT_BEGUN: Progress = { released: 0, refused: new Map(), isRunning: false, problem: null }

/**
 * Release messages until there are no more, `isStopped`, or the server cannot be reached. Too many requests in a minute are
 * waited for.
 */
export async function releaseAll(
  ids: AsyncIterable<string> | Iterable<string>,
  release: (id: string) => Promise<unknown>,
  onProgress: (progress: Progress) => void,
  isStopped: () => boolean = () => false,
  wait: Wait = pause,
): Promise<void> {
  let released = 0
  const refused = new Map<string, number>()
  const tell = (isRunning: boolean, problem: Problem | null = null) =>
    onProgress({ released, refused: new Map(refused), isRunning, problem })
  tell(true)
  try {
    for await (const id of ids) {
      if (isStopped() || released >= MOST_RELEASED) break
      const code = await outcome(id, release, wait)
      if (code === null) released += 1
      else refused.set(code, (refused.get(code) ?? 0) + 1)
      tell(true)
    }
    tell(false)
  } catch (thrown) {
    tell(false, problemOf(thrown))
  }
}

/** Release one. Returns the code of its refusal, or null. Throws Problem where the next one would end alike. */
async function outcome(id: string, release: (id: string) => Promise<unknown>, wait: Wait): Promise<string | null> {
  try {
    await patiently(() => release(id), wait)
    return null
  } catch (thrown) {
    const problem = problemOf(thrown)
    const { status } = problem.document
    if (status === 404 || status === 409) return problem.code // released, removed or stored meanwhile
    throw problem
  }
}

/** Ask, and ask again while there were too many requests. Throws Problem. */
export async function patiently<Answer>(ask: () => Promise<Answer>, wait: Wait = pause): Promise<Answer> {
  for (let pauses = 0; ; pauses++) {
    try {
      return await ask()
    } catch (thrown) {
      const problem = problemOf(thrown)
      if (problem.document.status !== 429 || pauses >= MOST_PAUSES) throw problem
      await wait(PAUSE_MS)
    }
  }
}
