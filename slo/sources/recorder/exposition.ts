/** A line of a metrics endpoint. `labels` is canonical: sorted by name, values as written, `a="1",b="2"`. */
export type ExposedSample = { name: string; labels: string; value: number }

/** A line is malformed. Nothing of the scrape is recorded. */
export class ExpositionError extends Error {
  override name = 'ExpositionError'
}

/** A name of OpenTelemetry, as `"http.route"`, keeps its quotation marks. Blanks may stand between any two tokens. */
const label = /[ \t]*([a-zA-Z_]\w*|"(?:[^"\\\n]|\\.)+")[ \t]*=[ \t]*"((?:[^"\\\n]|\\.)*)"[ \t]*/g
const labels = `(?:${label.source.replaceAll(/\((?!\?)/g, '(?:')}(?:,|(?=\\})))*`
/** NaN and Inf in any case, as Prometheus reads them: prom-client writes "Nan". */
const number = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN]`
/** Ignored: a sample has its scrape's time, and traces are found in their own store. */
const timeAndExemplar = String.raw`(?:[ \t]+-?[\d.]+(?:[eE][+-]?\d+)?)?(?: # .*)?`
/** A name with dots is in quotes. Such a sample is left out: no selector of the recorder can name it. */
const quotedName = String.raw`\{[ \t]*"(?:[^"\\]|\\.)+"[ \t]*(?:,${labels})?[ \t]*\}[ \t]*`
const plainName = String.raw`([a-zA-Z_:][\w:]*)[ \t]*(?:\{(${labels})[ \t]*\}[ \t]*)?`
const sample = new RegExp(`^(?:${quotedName}|${plainName})(${number})${timeAndExemplar}$`, 's')

/**
 * Parses Prometheus text 0.0.4 or OpenMetrics 1.0.
 * @throws ExpositionError naming the line, or when `# EOF` is missing because the answer was cut.
 */
export function parseExposition(text: string, format: 'openmetrics' | 'text'): ExposedSample[] {
  if (format === 'openmetrics' && !/(^|\n)# EOF\n?$/.test(text))
    throw new ExpositionError('ends without "# EOF": the answer was cut')
  return text.split('\n').flatMap((written, index) => {
    const line = written.trim()
    if (line === '' || line.startsWith('#')) return []
    const [found, name, labels = '', value = ''] = sample.exec(line) ?? []
    const pairs = pairsOf(labels)
    const isTwice = new Map(pairs).size < pairs.length
    if (found === undefined || isTwice)
      throw new ExpositionError(
        `line ${index + 1}: ${isTwice ? 'a label given twice' : 'no sample'}: ${line.slice(0, 200)}`,
      )
    const read = Number(value.replace(/inf.*/i, 'Infinity'))
    return name === undefined ? [] : [{ name, labels: canonical(pairs), value: read }]
  })
}

const pairsOf = (labels: string): [string, string][] =>
  [...labels.matchAll(label)].map(([, key, value]) => [key as string, value as string])

const canonical = (pairs: [string, string][]): string =>
  pairs
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value]) => `${key}="${value}"`)
    .join(',')

export function labelsOf(canonicalLabels: string): Record<string, string> {
  const plain = (value: string) => value.replace(/\\([\\"n])/g, (_, c) => (c === 'n' ? '\n' : c))
  return Object.fromEntries(pairsOf(canonicalLabels).map(([key, value]) => [key, plain(value)]))
}

/** Adds labels to canonical ones, and renames existing ones to `exported_NAME`, as Prometheus does. */
export function withLabels(canonicalLabels: string, more: Record<string, string>): string {
  const renamed = (key: string) => (key in more ? `exported_${key}` : key)
  const own = Object.entries(labelsOf(canonicalLabels)).map(([key, value]) => [renamed(key), value] as const)
  const escaped = (value: string) => value.replace(/[\\"\n]/g, c => (c === '\n' ? '\\n' : `\\${c}`))
  return canonical([...own, ...Object.entries(more)].map(([key, value]) => [key, escaped(value)]))
}
