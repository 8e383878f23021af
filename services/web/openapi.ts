import { version } from '@tintype/lib/version.ts'
import document from './openapi.json' with { type: 'json' }

/** The document of GET /openapi.json. Tests compare every route and each answer that they see with it. */
export const openapi = { ...document, info: { ...document.info, version } }
