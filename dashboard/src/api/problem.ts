import { currentDisplay } from '../texts/display'
import { sayer } from '../texts/texts'

/** What is wrong with a field or a parameter. `code` is of what people often get wrong. */
interface ProblemFault {
  message: string
  pointer?: string
  parameter?: string
  code?: string
  limit?: number
}

/** A problem document (RFC 9457) as the API answers it, or what stands for one where none came. */
export interface ProblemDocument {
  status: number
  code: string
  detail: string
  request_id?: string
  errors?: ProblemFault[]
}

/** An answer of the API that is a refusal. `code` is what texts are chosen by. */
export class Problem extends Error {
  readonly document: ProblemDocument

  constructor(document: ProblemDocument) {
    super(document.detail)
    this.document = document
  }

  get code(): string {
    return this.document.code
  }
}

const UNREACHABLE: ProblemDocument = { status: 0, code: 'unreachable', detail: '' }

/** What is wrong with each field, by its place in the body: `punch_rules/max_fix_age_s`. */
export function faultsOf(problem: Problem | null): Record<string, string> {
  const faults = problem?.document.errors ?? []
  return Object.fromEntries(
    faults.flatMap(({ message, pointer }) => (pointer === undefined ? [] : [[pointer.slice(1), message]])),
  )
}

/** What was thrown, as a problem: an error of the network is `unreachable`. */
export function problemOf(thrown: unknown): Problem {
  return thrown instanceof Problem ? thrown : new Problem(UNREACHABLE)
}

/** What to say of a fault. There are texts for codes; other messages are the API's, in English. */
function messageOf({ message, code, limit }: ProblemFault): string {
  if (code === undefined) return message
  const name = `fault-${code.replaceAll('_', '-')}`
  const text = sayer(currentDisplay().language)(name, limit === undefined ? {} : { limit })
  return text === name ? message : text
}

/** The problem that a response of the API holds; one of a proxy has no document. */
export function problemIn(response: Response, body: unknown): Problem {
  const found = body as Partial<ProblemDocument> | undefined
  if (typeof found?.code === 'string') {
    const errors = (found.errors ?? []).map((fault) => ({ ...fault, message: messageOf(fault) }))
    return new Problem({ detail: '', ...found, errors, status: response.status, code: found.code })
  }
  const code = response.status >= 500 ? 'unavailable' : 'unexpected'
  return new Problem({ status: response.status, code, detail: response.statusText })
}
