import { readFileSync } from 'node:fs'
import { version } from '@tintype/lib/version.ts'

type Operation = { responses?: Record<string, object> }
type Document = {
  openapi: string
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
  components: Record<'parameters' | 'responses' | 'schemas', Record<string, object>>
}

/** GET /openapi.json, written in openapi.json. Tests compare every route and each answer that they see with it. */
export const openapi: Document = JSON.parse(
  readFileSync(`${import.meta.dirname}/openapi.json`, 'utf8'),
  (key, value) => (key === 'info' ? { ...value, version } : value),
)
