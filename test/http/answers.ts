/** An answer as it stood on a connection, whatever the order of its headers and the cuts of its chunks. */
export interface RawAnswer {
  status: string
  headers: string[]
  body: string
  trailers: string
  /** Less came than was announced. */
  short: boolean
}

/** Reads all that a server said to requests with these methods, one after the other. */
export function answersIn(text: string, methods: readonly string[]): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  let asked = 0
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return [...answers, { status: rest, headers: [], body: '', trailers: '', short: true }]
    const [status = '', ...headers] = rest.slice(0, end).split('\r\n')
    rest = rest.slice(end + 4)
    const code = Number(status.split(' ')[1])
    const bare = code < 200 || code === 204 || code === 304 || methods[asked] === 'HEAD'
    if (code >= 200) asked++
    const { body, trailers, short, after } = bare ? { ...NOTHING, after: rest } : bodyOf(headers, rest)
    rest = after
    answers.push({ status, headers: headers.sort(), body, trailers, short })
  }
  return answers
}

const NOTHING = { body: '', trailers: '', short: false }

function bodyOf(headers: readonly string[], text: string): typeof NOTHING & { after: string } {
  const value = (name: string) => headers.find((line) => line.toLowerCase().startsWith(`${name}: `))?.split(': ')[1]
  const length = value('content-length')
  if (length !== undefined) {
    const body = text.slice(0, Number(length))
    return { body, trailers: '', short: body.length < Number(length), after: text.slice(body.length) }
  }
  if (value('transfer-encoding') !== 'chunked') return { ...NOTHING, body: text, after: '' }
  let body = ''
  let rest = text
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/.exec(rest)
    if (!line) return { body, trailers: '', short: true, after: '' }
    const size = Number.parseInt(line[1] as string, 16)
    rest = rest.slice(line[0].length)
    if (size === 0) {
      const end = rest.startsWith('\r\n') ? 0 : rest.indexOf('\r\n\r\n') + 2
      return { body, trailers: rest.slice(0, end), short: false, after: rest.slice(end + 2) }
    }
    body += rest.slice(0, size)
    rest = rest.slice(size + 2)
  }
}
