import { setTimeout as delay } from 'node:timers/promises'
import { expand } from '../directory/expand.ts'
import type { ProbeStep } from '../directory/service.ts'
import type { Probe } from './probe.ts'
import { type Answer, excerpt, noPhases, type RequestPhases, type Timed, timedRequest } from './request.ts'

/** A lost packet is no outage; what fails twice is one. */
const retryAfterMs = 1_000
/** Sending these twice does what sending them once does. */
const idempotent = ['GET', 'HEAD', 'PUT', 'DELETE']

type Values = Record<string, string | undefined>

/**
 * The probe whose attempts walk these steps in order, each with what the ones before it captured.
 * @throws ConfigError when a step names what neither the environment nor a step before it gives.
 */
export function stepProbe(steps: readonly ProbeStep[], environment: Readonly<Values>): Probe {
  checkReferences(steps, environment)
  return {
    async attempt(signal) {
      const values: Values = { ...environment }
      let phases = noPhases
      for (const step of steps) {
        const timed = await withRetry(step, values, signal)
        phases = sum(phases, timed.phases)
        const why = 'failed' in timed ? timed.failed : judge(step, timed.answer, values)
        if (why !== null) return { phases, failure: { step: step.name, why } }
      }
      return { phases }
    },
    async close() {},
  }
}

/** At the start rather than four times a minute. @throws ConfigError */
function checkReferences(steps: readonly ProbeStep[], environment: Readonly<Values>): void {
  const values: Values = { ...environment }
  for (const { url, body, headers, expect, capture } of steps) {
    for (const text of [url, body, expect.body, ...Object.values(headers)]) expand(text, values)
    for (const name of Object.keys(capture)) values[name] = name
  }
}

async function withRetry(step: ProbeStep, values: Values, signal: AbortSignal): Promise<Timed> {
  const first = await once(step, values, signal)
  const failed = failureOf(first)
  if (failed === null || !idempotent.includes(step.method)) return first
  await delay(retryAfterMs, undefined, { signal })
  const second = await once(step, values, signal)
  return 'failed' in second ? { ...second, failed: `${failed}; again: ${second.failed}` } : second
}

const failureOf = (timed: Timed): string | null => {
  if ('failed' in timed) return timed.failed
  return timed.answer.status >= 500 ? `answer ${timed.answer.status}` : null
}

async function once(
  { method, url, headers, body, timeoutSeconds }: ProbeStep,
  values: Values,
  signal: AbortSignal,
) {
  const timed = await timedRequest({
    method,
    url: new URL(expand(url, values)),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, expand(value, values)]),
    ),
    ...(body !== '' && { body: Buffer.from(expand(body, values)) }),
    timeoutMs: timeoutSeconds * 1000,
    signal,
  })
  signal.throwIfAborted()
  return timed
}

/** Why an answer is not what was expected, or null; then it has given `values` what it was to give. */
function judge({ expect, capture }: ProbeStep, answer: Answer, values: Values): string | null {
  const body = answer.body.toString()
  const { status } = answer
  const isExpected = expect.status.length > 0 ? expect.status.includes(status) : status < 400
  if (!isExpected) return `answer ${status}: ${excerpt(answer.body)}`
  if (!body.includes(expand(expect.body, values)))
    return `the body lacks "${expect.body}": ${excerpt(answer.body)}`
  if (!new RegExp(expect.matches).test(body))
    return `the body does not match ${expect.matches}: ${excerpt(answer.body)}`
  for (const [name, text] of Object.entries(expect.headers))
    if (!headerOf(answer, name).includes(text)) return `the header ${name} is "${headerOf(answer, name)}"`
  for (const [name, { header, matches }] of Object.entries(capture)) {
    const found = new RegExp(matches).exec(header ? headerOf(answer, header) : body)
    if (!found) return `nothing to capture as ${name}: ${matches} does not match`
    values[name] = found[1] ?? found[0]
  }
  return null
}

const headerOf = ({ headers }: Answer, name: string): string => String(headers[name.toLowerCase()] ?? '')

const sum = (one: RequestPhases, other: RequestPhases): RequestPhases => ({
  dns: one.dns + other.dns,
  connect: one.connect + other.connect,
  tls: one.tls + other.tls,
  processing: one.processing + other.processing,
  transfer: one.transfer + other.transfer,
})
