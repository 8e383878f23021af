import type { readConfig } from '@tintype/lib/config.ts'
import { logVariables } from '@tintype/lib/telemetry/log.ts'
import { pick } from '@tintype/lib/variables.ts'

export const used = pick(...logVariables, 'ADMIN_HOST', 'LOGS_ADMIN_PORT', 'GRACE_SECONDS')
export type Config = ReturnType<typeof readConfig<typeof used>>
