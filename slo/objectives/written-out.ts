import type { Document } from './document.ts'

type Values = Readonly<Record<string, unknown>>
/** The map with some values replaced; what is no map stays for its finding. */
const changed = (value: unknown, change: (map: Values) => Values): unknown =>
  typeof value === 'object' && value !== null ? { ...value, ...change(value as Values) } : value
const eachOf = (list: unknown, change: (map: Values) => Values): unknown =>
  Array.isArray(list) ? list.map(each => changed(each, change)) : list

/**
 * A document as the schema reads it: with its indicator, targets as shares, `isRolling`, and without annotations of
 * other programs.
 */
export function writtenOut(document: Document, indicators: ReadonlyMap<unknown, unknown>): Document {
  const metadata = ({ annotations }: Values): Values => ({
    annotations: changed(annotations, all =>
      Object.fromEntries(Object.keys(all).flatMap(key => (key.startsWith('slo/') ? [] : [[key, undefined]]))),
    ),
  })
  const spec = ({ indicator, indicatorRef, timeWindow, objectives }: Values): Values => ({
    ...(indicator === undefined &&
      indicators.has(indicatorRef) && {
        indicator: { spec: indicators.get(indicatorRef) },
        indicatorRef: undefined,
      }),
    timeWindow: eachOf(timeWindow, ({ isRolling, calendar }) =>
      isRolling === undefined && calendar !== undefined ? { isRolling: false } : {},
    ),
    objectives: eachOf(objectives, ({ target, targetPercent }) =>
      target === undefined && typeof targetPercent === 'number'
        ? { target: targetPercent / 100, targetPercent: undefined }
        : {},
    ),
  })
  const whole = (all: Values) => ({
    metadata: changed(all.metadata, metadata),
    spec: changed(all.spec, spec),
  })
  const value = JSON.stringify(changed(document.value, whole)) ?? 'null'
  return { ...document, value: JSON.parse(value, withoutNulls) ?? undefined }
}

/** To the readers of OpenSLO a key without a value is no key. */
function withoutNulls(this: unknown, _key: string, value: unknown): unknown {
  return value === null && !Array.isArray(this) ? undefined : value
}
