import type { readConfig } from '@tintype/lib/config.ts'
import { logVariables } from '@tintype/lib/telemetry/log.ts'
import { pick } from '@tintype/lib/variables.ts'

const ages = ['KEEP_LOGS_DAYS', 'KEEP_REVISIONS_DAYS'] as const
const own = ['ADMIN_HOST', 'GRACE_SECONDS', 'LOGS_ADMIN_PORT', 'SLO_URL', 'STORAGE_URL', 'VERSION'] as const
export const used = pick(...logVariables, ...ages, ...own)
export type Config = ReturnType<typeof readConfig<typeof used>>
