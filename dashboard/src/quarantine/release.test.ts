import { describe, expect, it } from 'vitest'
import { Problem } from '../api/problem'
import { MOST_RELEASED, releaseAll, type Progress } from './release'

function refusal(status: number, code: string): Problem {
  return new Problem({ status, code, detail: '' })
}

/** Release these; answers: what is thrown for an id, one after the other. */
async function run(ids: readonly string[], answers: Record<string, Problem[]>, isStopped?: () => boolean) {
  const [told, asked, waited]: [Progress[], string[], number[]] = [[], [], []]
  const release = async (id: string) => {
    asked.push(id)
    const thrown = answers[id]?.shift()
    if (thrown) throw thrown
  }
  await releaseAll(ids, release, (progress) => told.push(progress), isStopped, async (ms) => waited.push(ms))
  return { told, asked, waited, last: told.at(-1)! }
}

describe('the release of many', () => {
  it('goes on behind those that are refused, and counts both', async () => {
    const { last, asked } = await run(['a', 'b', 'c', 'd'], {
      b: [refusal(409, 'release_waiting')],
      c: [refusal(404, 'not_found')],
    })
    expect(asked).toEqual(['a', 'b', 'c', 'd'])
    expect([last.released, [...last.refused], last.isRunning, last.problem]).toEqual([2, [['release_waiting', 1], ['not_found', 1]], false, null])
  })

  it('waits where there were too many requests, and not for ever', async () => {
    const few = await run(['a', 'b'], { a: [refusal(429, 'rate_limited'), refusal(429, 'rate_limited')] })
    expect([few.last.released, few.waited.length]).toEqual([2, 2])
    const many = await run(['a', 'b'], { a: Array.from({ length: 50 }, () => refusal(429, 'rate_limited')) })
    expect([many.last.released, many.last.problem?.code, many.waited.length < 20]).toEqual([0, 'rate_limited', true])
  })

  it.each([[refusal(503, 'unavailable')], [refusal(403, 'forbidden')], [new TypeError('no network') as unknown as Problem]])('ends with %s', async (thrown) => {
    const { last, asked } = await run(['a', 'b', 'c'], { b: [thrown] })
    expect(asked).toEqual(['a', 'b'])
    expect([last.released, last.isRunning]).toEqual([1, false])
    expect(last.problem).not.toBeNull()
  })

  it('can be stopped, and is bounded', async () => {
    let asked = 0
    const stopped = await run(['a', 'b', 'c', 'd'], {}, () => asked++ >= 2)
    expect(stopped.asked).toEqual(['a', 'b'])
    const many = await run(Array.from({ length: MOST_RELEASED + 5 }, (_, number) => String(number)), {})
    expect(many.last.released).toBe(MOST_RELEASED)
  })
})
