import { Agent as HttpsAgent } from 'node:https'
import { homedir } from 'node:os'
import type { Readable } from 'node:stream'
import { S3Client, type ServiceOutputTypes } from '@aws-sdk/client-s3'
import { ConfigError } from '../config.ts'
import { http } from '../http/node-http.ts'
import { countLimit, limits } from '../limits.ts'
import { isHere } from '../loopback.ts'
import { isEndpoint, type S3Address } from './storage-url.ts'

/** Deadline of one attempt: the longest delay that a dead connection causes before the next attempt. */
const attemptMs = 4_000
/** 4 Mbit/s, the slowest line. A deadline is extended by the time that the request's body takes on it. */
const bytesPerMs = 500
const connectMs = 1_000
const maxAttempts = 3
/**
 * Keys that do not expire are read again after a minute (the SDK does it 5 minutes before their end), because another
 * program may replace them in their file. While it has written a part of them, the last ones are used up to their end.
 */
const keysMs = 6 * 60_000
/** An option of the SDK's providers of keys, which its types lack here: they keep the content of a file for ever. */
const readsFilesAnew = { ignoreCache: true } as object

type Command = Parameters<S3Client['send']>[0]
type HttpResponse = { statusCode: number; headers?: Record<string, string>; body?: Readable }
type Deadlines = { abortSignal: AbortSignal; requestTimeout: number }

export type Bucket = Awaited<ReturnType<typeof connect>>

/** A client of one bucket. The SDK finds its credentials in the environment. */
export async function connect(address: S3Address) {
  try {
    homedir()
  } catch {
    // A user without HOME and /etc/passwd, as containers have. The SDK would end the process.
    process.env.HOME = '/'
  }
  const { config } = new S3Client(readsFilesAnew)
  // AWS_ENDPOINT_URL, which the SDK reads only for the address.
  const endpoint = address.endpoint ?? (await config.serviceConfiguredEndpoint?.())
  if (endpoint && !isEndpoint(endpoint))
    throw new ConfigError('AWS_ENDPOINT_URL must be a URL such as http://127.0.0.1:9000')
  // A secret that was made from a file often ends with the file's newline, which no header may contain.
  const readKeys = async () => {
    const expiration = new Date(Date.now() + keysMs)
    const given = { expiration, ...(await config.credentials({ forceRefresh: true })) }
    for (const name of ['accessKeyId', 'secretAccessKey', 'sessionToken'] as const)
      if (given[name]) given[name] = given[name].trim()
    return given
  }
  let keys: Awaited<ReturnType<typeof readKeys>> | undefined
  const credentials = async () => {
    keys = await readKeys().catch(error => {
      if (!keys || keys.expiration < new Date()) throw error
      return keys
    })
    return keys
  }
  // HTTPS_PROXY, HTTP_PROXY and NO_PROXY. This machine’s own addresses are asked directly.
  const isLocal = endpoint !== undefined && isHere(new URL(endpoint).hostname)
  const proxyEnv = isLocal ? {} : process.env
  const connections = { keepAlive: true, maxSockets: limits.storageConnections.value, proxyEnv }
  const agents = { httpAgent: new http.Agent(connections), httpsAgent: new HttpsAgent(connections) }
  const client = new S3Client({
    // Servers other than AWS answer 501 to headers like x-amz-checksum-crc32. The signature covers the body anyway.
    ...(endpoint && {
      endpoint,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // AWS_USE_DUALSTACK_ENDPOINT and AWS_USE_FIPS_ENDPOINT choose among the addresses of AWS, and would refuse this one.
      useDualstackEndpoint: false,
      useFipsEndpoint: false,
    }),
    region: address.region ?? (await config.region().catch(() => 'us-east-1')),
    credentials,
    forcePathStyle: address.pathStyle ?? endpoint !== undefined,
    maxAttempts,
    requestHandler: { ...agents, connectionTimeout: connectMs, throwOnRequestTimeout: true },
    // `Expect: 100-continue` would cost a round trip for each part.
    expectContinueHeader: false,
  })
  // A proxy's page with status 200, as during maintenance, would count as stored, removed or an empty listing. Without a
  // body it is an answer of a server that calls each of its answers text/html, such as Swift.
  client.middlewareStack.add(
    next => async args => {
      const answer = await next(args)
      const { statusCode, headers = {}, body } = answer.response as HttpResponse
      const isPage = headers['content-type']?.startsWith('text/html') && headers['content-length'] !== '0'
      if (statusCode >= 300 || statusCode === 204 || !isPage) return answer
      body?.destroy()
      throw Object.assign(new Error('UnknownError'), { $response: answer.response })
    },
    { step: 'deserialize', priority: 'low' },
  )
  let underWay = 0

  /** Retries a 409, which the SDK does not do. AWS asks for it; versitygw sends 409 for two requests in one folder. */
  function sendAgain(command: Command, options: Deadlines, tries = 1): Promise<ServiceOutputTypes> {
    return client.send(command, options).catch(error => {
      if (error.$metadata?.httpStatusCode !== 409 || tries === maxAttempts) throw error
      return sendAgain(command, options, tries + 1)
    })
  }

  async function send(command: Command) {
    if (++underWay > limits.storageConnections.value) countLimit('storageConnections')
    const bodyMs = 'Body' in command.input ? (command.input.Body as Buffer).length / bytesPerMs : 0
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), limits.storageCall.value * 1000 + bodyMs)
    let body: Readable | undefined
    try {
      const options = { abortSignal: late.signal, requestTimeout: attemptMs + bodyMs }
      const answer = await sendAgain(command, options)
      if ('Body' in answer) body = answer.Body as Readable
      return answer
    } catch (error) {
      if (!late.signal.aborted && (error as Error).name !== 'TimeoutError') throw withCode(error as Error)
      countLimit('storageCall')
      throw timeout(error)
    } finally {
      clearTimeout(timer)
      // The connection is in use until the body has been read.
      if (body && !body.closed) body.once('close', () => underWay--).on('error', () => {})
      else underWay--
    }
  }

  return {
    Bucket: address.bucket,
    prefix: address.prefix,
    endpoint: endpoint ?? 'AWS',
    /** Sends a command within `storageCall`. Its errors have a `code`. */
    send: send as S3Client['send'],
    bytesOf,
    close: () => client.destroy(),
  }
}

/** The bytes of a response body. @throws when none arrive for `attemptMs`. */
async function* bytesOf(body: Readable): AsyncGenerator<Buffer, void> {
  const chunks = body.iterator()
  try {
    for (;;) {
      const timer = setTimeout(() => body.destroy(timeout()), attemptMs)
      const { done, value } = await chunks.next().finally(() => clearTimeout(timer))
      if (done) return
      yield value
    }
  } catch (error) {
    throw withCode(error as Error, 'IncompleteBody')
  } finally {
    body.destroy()
  }
}

const timeout = (cause?: unknown): Error =>
  Object.assign(new Error('the S3 server did not answer in time', { cause }), { code: 'TimeoutError' })

/**
 * Gives an error of S3 its `code`, which the SDK puts into `name`. An answer that is not XML, as from a proxy or from
 * another server, has a parser's message.
 */
function withCode(error: NodeJS.ErrnoException & { $response?: HttpResponse }, otherwise?: string): Error {
  const { $response: answer, message } = error
  if (answer && /Deserialization error|^UnknownError$/.test(message)) {
    const { 'content-type': type = 'no Content-Type', location } = answer.headers ?? {}
    const to = location ? ` and leads to ${location.split('?')[0]}` : ''
    error.message = `it answered ${answer.statusCode} with ${type}${to}, which is no answer of an S3 server`
  }
  const code = error.code ?? (error.name === 'Error' ? otherwise : error.name)
  return typeof code === 'string' ? Object.assign(error, { code }) : error
}
