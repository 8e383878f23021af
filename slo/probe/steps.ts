import { address } from '@tintype/lib/config.ts'
import { orElse } from '@tintype/lib/errors.ts'
import { type BoundedAnswer, excerpt, inWords } from '@tintype/lib/http/bounded-request.ts'
import { expand, expandUrl, missingIn, throwMissing } from '../directory/expand.ts'
import type { ProbeStep } from '../directory/service.ts'
import { type Directory, loadModule } from '../directory.ts'
import type { Probe, ProbeModule } from './probe.ts'
import { noPhases, phaseNames, type Timed, timedRequest, withRetry } from './request.ts'

/** Methods that may be repeated, because a second request changes nothing. */
const idempotent = ['GET', 'HEAD', 'PUT', 'DELETE']

type Values = Record<string, string | undefined>

/** The probe of the directory: its module, or its steps; undefined when it has none. */
export async function probeOf({ folder, service: { probe } }: Directory): Promise<ProbeModule | undefined> {
  if (typeof probe === 'string') return loadModule<ProbeModule>(folder, probe, 'names', 'openProbe')
  if (!probe?.length) return undefined
  return {
    names: { attempts: 'slo_probe_attempts_total', seconds: 'slo_probe_seconds', others: [] },
    openProbe: ({ environment }) => stepProbe(probe, environment),
  }
}

/**
 * A probe whose attempts send these requests in order, each with the values captured by earlier ones.
 * @throws ConfigError when a step uses a value that neither the environment nor an earlier step has.
 */
export function stepProbe(steps: readonly ProbeStep[], environment: Readonly<Values>): Probe {
  throwMissing(missingInSteps(steps, environment))
  return {
    async attempt(signal) {
      const values: Values = { ...environment }
      const phases = { ...noPhases }
      let certificateDays = Infinity
      for (const step of steps) {
        const send = () => once(step, values, signal)
        const timed = await (idempotent.includes(step.method)
          ? withRetry(send, signal, step.expect.status)
          : send())
        for (const phase of phaseNames) phases[phase] += timed.phases[phase]
        certificateDays = Math.min(certificateDays, timed.certificateDays ?? certificateDays)
        const why = 'failed' in timed ? timed.failed : judge(step, timed.answer, values)
        if (why !== null) return { phases, certificateDays, failure: { step: step.name, why } }
      }
      return { phases, certificateDays }
    },
    async close() {},
  }
}

/**
 * A sentence for each value that a step uses and neither the environment nor an earlier step has, and for each address
 * that the environment makes invalid: slo would count its own fault as an outage.
 */
export function missingInSteps(steps: readonly ProbeStep[], environment: Readonly<Values>): string[] {
  const values: Values = { ...environment }
  const captured: string[] = []
  return steps.flatMap(({ name, url, body, headers, expect, capture }) => {
    const missing = missingIn([url, body, expect.body, ...Object.values(headers)], values)
    const isKnown = missing.length === 0 && !captured.some(each => url.includes(`\${${each}`))
    if (isKnown && !address.parse(expandUrl(url, values)))
      missing.push(`the probe’s step ${name} has no address: ${url}`)
    captured.push(...Object.keys(capture))
    for (const name of Object.keys(capture)) values[name] = name
    return missing
  })
}

async function once(step: ProbeStep, values: Values, signal: AbortSignal): Promise<Timed> {
  const written = expandUrl(step.url, values)
  const url = address.parse(written)
  // A part of the URL may come from an earlier answer, so it may be invalid.
  if (!url) return { phases: noPhases, failed: `"${written}" is not an address` }
  const headers = Object.entries(step.headers).map(([name, value]) => [name, expand(value, values)] as const)
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? ''
  return timedRequest({
    method: step.method,
    url,
    headers: Object.fromEntries(headers),
    ...(step.body !== '' && { body: Buffer.from(expand(step.body, values, encodeIn(type))) }),
    timeoutMs: step.timeoutSeconds * 1000,
    signal,
  })
}

/** Encodes a value in a form or JSON: a token may have a `+`, which a form reads as a blank, and a password a `"`. */
const encodeIn =
  (contentType: string) =>
  (value: string, before: string): string => {
    if (/x-www-form-urlencoded/i.test(contentType))
      return before.endsWith('=') ? encodeURIComponent(value) : value
    const isQuoted = before.split('"').length % 2 === 0
    return /json/i.test(contentType) && isQuoted ? JSON.stringify(value).slice(1, -1) : value
  }

/** Why an answer is not the expected one; null when it is, with its captures added to `values`. */
function judge({ method, expect, capture }: ProbeStep, answer: BoundedAnswer, values: Values): string | null {
  const [body, type] = [textOf(answer), headerOf(answer, 'content-type')]
  const { status } = answer
  // A redirect is a success for a form, but not for a page.
  const usual = status < (idempotent.includes(method) ? 300 : 400)
  const isExpected = expect.status.length > 0 ? expect.status.includes(status) : usual
  if (!isExpected) return inWords(answer)
  const wanted = expand(expect.body, values)
  // A person writes a text of a page as a browser shows it.
  if (!body.includes(wanted) && !asShown(decoded(body, type)).includes(asShown(wanted)))
    return `the body lacks "${expect.body}": ${excerpt(answer.body)}`
  if (!new RegExp(expect.matches).test(body))
    return `the body does not match ${expect.matches}: ${excerpt(answer.body)}`
  for (const [name, text] of Object.entries(expect.headers))
    if (!headerOf(answer, name).includes(text)) return `the header ${name} is "${headerOf(answer, name)}"`
  for (const [name, { header, matches }] of Object.entries(capture)) {
    // Each cookie is a header of its own: that of a load balancer may come before that of the service.
    const texts = header ? [answer.headers[header.toLowerCase()] ?? ''].flat() : [body]
    const found = texts.map(text => new RegExp(matches).exec(text)).find(Boolean)
    const value = found?.[1] ?? found?.[0] ?? ''
    // Half of a surrogate pair, as JSON may have it, cannot be encoded.
    values[name] = (header ? value : decoded(value, type)).toWellFormed()
    if (!values[name]) return `nothing to capture as ${name}: ${matches} does not match`
  }
  return null
}

const htmlReference = /&(?:#(\d{1,6}|x[\da-f]{1,5})|(amp|lt|gt|quot|apos|nbsp));/gi
const htmlCharacters: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

/** A browser shows a line end as a space, and several spaces as one. */
const asShown = (text: string): string => text.replaceAll(/\s+/g, ' ')

/**
 * A text of an answer as a browser or a program reads it: PHP writes `\/` into JSON, Python `\u00fc`, and Go `&#43;` into
 * a form.
 */
function decoded(value: string, contentType: string): string {
  if (/html/i.test(contentType))
    return value.replace(
      htmlReference,
      (_, code, name = '') => htmlCharacters[name.toLowerCase()] ?? String.fromCodePoint(Number(`0${code}`)),
    )
  if (!/json/i.test(contentType)) return value
  return value.replace(/\\(u[\da-fA-F]{4}|["\\/bfnrt])/g, escaped => JSON.parse(`"${escaped}"`))
}

/** The text of an answer, in the charset that its Content-Type or the page itself names, if Node knows it. */
function textOf({ body, headers }: BoundedAnswer): string {
  const [, charset = 'utf-8'] =
    /charset="?([\w-]+)/i.exec(headers['content-type'] ?? '') ??
    /<meta\s[^>]*charset=["']?([\w-]+)/i.exec(body.toString('latin1', 0, 1024)) ??
    []
  return orElse(undefined, () => new TextDecoder(charset).decode(body)) ?? body.toString()
}

const headerOf = ({ headers }: BoundedAnswer, name: string) => String(headers[name.toLowerCase()] ?? '')
