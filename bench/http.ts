import { Client } from 'undici'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

export interface Question {
  method?: 'GET' | 'POST'
  path: string
  headers?: Record<string, string>
  body?: string
}

/** One keep-alive connection. */
export function connect(origin: string): Client {
  return new Client(origin, { pipelining: 1, keepAliveTimeout: 60_000, headersTimeout: 60_000 })
}

/** Sends a request and waits for the whole answer. */
export function send(client: Client, question: Question): Promise<Answer> {
  const { method = 'GET', path, headers, body } = question
  return new Promise((resolve, reject) => {
    const answer: Answer = { status: 0, headers: {}, body: '' }
    const chunks: Buffer[] = []
    client.dispatch(
      { method, path, headers, body },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          answer.status = status
          answer.headers = headers
        },
        onResponseData(_controller, chunk) {
          chunks.push(chunk)
        },
        onResponseEnd() {
          const [only = Buffer.alloc(0)] = chunks
          answer.body = (chunks.length > 1 ? Buffer.concat(chunks) : only).toString()
          resolve(answer)
        },
        onResponseError(_controller, error) {
          reject(error)
        },
      },
    )
  })
}

/** As `send`, but throws unless the answer has this status. */
export async function expect(client: Client, status: number, question: Question): Promise<Answer> {
  const answer = await send(client, question)
  if (answer.status !== status) {
    throw new Error(`${question.path.slice(0, 60)}: ${answer.status} ${answer.body.slice(0, 300)}`)
  }
  return answer
}

/** A posted form. */
export function form(path: string, parameters: Record<string, string>): Question {
  return {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(parameters).toString(),
  }
}

/** The Cookie header for the cookies that an answer set. */
export function cookiesOf({ headers }: Answer): string {
  return [headers['set-cookie'] ?? []]
    .flat()
    .map((cookie) => cookie.split(';', 1)[0])
    .join('; ')
}
