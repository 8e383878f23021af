/** One line of a metrics endpoint. `labels` is canonical: sorted by name, values as written, `a="1",b="2"`. */
export type ExposedSample = { name: string; labels: string; value: number }

/** A line that cannot be read: none of the scrape is recorded. */
export class ExpositionError extends Error {
  override name = 'ExpositionError'
}

// Blanks may stand between any two tokens.
const metricName = /([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*/y
const label = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\\n]|\\[\\"n])*)"[ \t]*/y
const end = /[ \t]*\}[ \t]*/y
/** Letters of NaN and Inf in any case, as Prometheus reads them: prom-client writes "Nan". */
const number = /(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?|nan)(?=[ \t]|$)/iy
/** What OpenMetrics allows after a value. It is passed over: traces are found by their own store. */
const exemplar = /^( # \{.*\} \S+( \S+)?)?$/

/**
 * Reads Prometheus text 0.0.4 or OpenMetrics 1.0, strictly.
 * @throws ExpositionError with the line, also for OpenMetrics that ends without `# EOF` (a torn answer) and for
 * timestamps, which none of our services sends.
 */
export function parseExposition(text: string, format: 'openmetrics' | 'text'): ExposedSample[] {
  if (format === 'openmetrics' && !/(^|\n)# EOF\n?$/.test(text))
    throw new ExpositionError('ends without "# EOF": the answer is torn')
  return text.split('\n').flatMap((written, index) => {
    const line = written.trim()
    if (line === '' || line.startsWith('#')) return []
    try {
      return [parseSample(line)]
    } catch (error) {
      throw new ExpositionError(`line ${index + 1}: ${(error as Error).message}: ${line.slice(0, 200)}`)
    }
  })
}

function parseSample(line: string): ExposedSample {
  const [named, name] = take(metricName, line, 0) ?? []
  if (!named || !name) throw new Error('no metric name')
  let at = named.length
  const pairs = new Map<string, string>()
  if (line[at] === '{') {
    at++
    let ended = take(end, line, at)
    while (!ended) {
      const [found, key, value] = take(label, line, at) ?? []
      if (!found || key === undefined || value === undefined) throw new Error('a label that cannot be read')
      if (pairs.has(key)) throw new Error(`label ${key} given twice`)
      pairs.set(key, value)
      at += found.length
      if (line[at] === ',') at++
      else if (line[at] !== '}') throw new Error('labels that do not end')
      ended = take(end, line, at)
    }
    at += ended[0].length
  }
  if (at === line.length) throw new Error('no value')
  const value = take(number, line, at)?.[0]
  if (value === undefined) throw new Error('not a number')
  if (!exemplar.test(line.slice(at + value.length))) throw new Error('something after the value')
  return { name, labels: canonical([...pairs]), value: numberOf(value) }
}

const numberOf = (text: string): number =>
  /inf/i.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)

function take(pattern: RegExp, line: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(line)
}

const canonical = (pairs: [string, string][]): string =>
  pairs
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value]) => `${key}="${value}"`)
    .join(',')

/** Canonical labels as a record. */
export function labelsOf(canonicalLabels: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, key, value] of canonicalLabels.matchAll(new RegExp(label.source, 'g')))
    labels[key as string] = (value as string).replace(/\\([\\"n])/g, (_, c) => (c === 'n' ? '\n' : c))
  return labels
}

/** Canonical labels with more of them; those there already give way, as in Prometheus for job and instance. */
export function withLabels(canonicalLabels: string, more: Record<string, string>): string {
  const all = Object.entries({ ...labelsOf(canonicalLabels), ...more })
  const escaped = (value: string) => value.replace(/[\\"\n]/g, c => (c === '\n' ? '\\n' : `\\${c}`))
  return canonical(all.map(([key, value]) => [key, escaped(value)]))
}
