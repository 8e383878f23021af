import { type Document, valueAt } from './document.ts'

type Values = Record<string, unknown>
/** The maps in `value`, a map or a list. Anything else is left for its lint finding. */
const maps = (value: unknown): Values[] =>
  [value].flat().filter(each => typeof each === 'object' && each !== null) as Values[]

/**
 * A document in the form that the schema reads: with its indicator, targets as shares and `isRolling`, without
 * annotations of other programs.
 */
export function writtenOut(document: Document, indicators: ReadonlyMap<unknown, Document[]>): Document {
  const value = copyOf(document.value)
  const [own, name] = ['indicator', 'indicatorRef'].map(key => valueAt(document, ['spec', key]))
  const named = own || name === undefined ? [] : (indicators.get(name) ?? [])
  const sli = named.length === 1 ? named[0] : undefined
  for (const { metadata } of maps(value))
    for (const annotations of maps(maps(metadata)[0]?.annotations))
      for (const key of Object.keys(annotations)) if (!key.startsWith('slo/')) delete annotations[key]
  for (const spec of maps(value).flatMap(each => maps(each.spec))) {
    if (sli) {
      spec.indicator = copyOf({ spec: valueAt(sli, ['spec']) })
      delete spec.indicatorRef
    }
    for (const window of maps(spec.timeWindow)) if (window.calendar !== undefined) window.isRolling ??= false
    for (const each of maps(spec.objectives))
      if (each.target === undefined && typeof each.targetPercent === 'number') {
        each.target = each.targetPercent / 100
        delete each.targetPercent
      }
  }
  const placeOf: Document['placeOf'] = path =>
    sli && path[1] === 'indicator' ? sli.placeOf(path.slice(2)) : document.placeOf(path)
  return { ...document, value: value ?? undefined, placeOf }
}

/** A copy without keys that have no value, which count as missing in OpenSLO. */
const copyOf = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null), withoutNulls)

function withoutNulls(this: unknown, _key: string, value: unknown): unknown {
  return value === null && !Array.isArray(this) ? undefined : value
}
