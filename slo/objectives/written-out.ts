import type { Document } from './document.ts'

type Values = Record<string, unknown>
/** The maps in `value`, a map or a list. Anything else is left for its lint finding. */
const maps = (value: unknown): Values[] =>
  [value].flat().filter(each => typeof each === 'object' && each !== null) as Values[]

/**
 * A document in the form that the schema reads: with its indicator, targets as shares and `isRolling`, without
 * annotations of other programs.
 */
export function writtenOut(document: Document, indicators: ReadonlyMap<unknown, unknown>): Document {
  const value = copyOf(document.value)
  for (const { metadata } of maps(value))
    for (const annotations of maps(maps(metadata)[0]?.annotations))
      for (const key of Object.keys(annotations)) if (!key.startsWith('slo/')) delete annotations[key]
  for (const spec of maps(value).flatMap(each => maps(each.spec))) {
    if (spec.indicator === undefined && indicators.has(spec.indicatorRef)) {
      spec.indicator = { spec: copyOf(indicators.get(spec.indicatorRef)) }
      delete spec.indicatorRef
    }
    for (const window of maps(spec.timeWindow)) if (window.calendar !== undefined) window.isRolling ??= false
    for (const each of maps(spec.objectives))
      if (each.target === undefined && typeof each.targetPercent === 'number') {
        each.target = each.targetPercent / 100
        delete each.targetPercent
      }
  }
  return { ...document, value: value ?? undefined }
}

/** A copy without keys that have no value, which count as missing in OpenSLO. */
const copyOf = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null), withoutNulls)

function withoutNulls(this: unknown, _key: string, value: unknown): unknown {
  return value === null && !Array.isArray(this) ? undefined : value
}
