/**
 * Preloaded into a converter's child, makes each conversion except the first a wait of 200 ms with the first one's
 * thumbnails: many converters on few cores then behave like many machines.
 */
import { registerHooks } from 'node:module'

const source = `
import { setTimeout } from 'node:timers/promises'
import { convert as real } from './convert.ts?real'
export * from './convert.ts?real'
let first
export const convert = async (...args) => {
  if (first) await setTimeout(200)
  else first = await real(...args)
  return first
}`

registerHooks({
  load: (url, context, next) =>
    url.endsWith('/services/converter/convert.ts')
      ? { format: 'module', source, shortCircuit: true }
      : next(url, context),
})
