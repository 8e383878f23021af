import { registerHooks } from 'node:module'

/** The part of a package that is used, in place of its index, which imports every form of every signal, or 1,500 names. */
const used: Record<string, string> = {
  '@opentelemetry/otlp-transformer': 'trace/json/trace.mjs',
  '@opentelemetry/semantic-conventions': 'stable_attributes.mjs',
}

/** Loads packages of OpenTelemetry, or one that uses them, without what is unused. */
export async function loadLight<T>(load: () => Promise<T>): Promise<T> {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      // Once, as ES modules: prom-client requires it.
      if (specifier === '@opentelemetry/api')
        return next(specifier, { ...context, conditions: ['node', 'import'] })
      const found = next(specifier, context)
      const part = used[specifier]
      return part === undefined ? found : { ...found, url: new URL(part, found.url).href }
    },
  })
  try {
    return await load()
  } finally {
    hooks.deregister()
  }
}
