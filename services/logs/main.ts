import { readConfig } from '@tintype/lib/config.ts'
import { run } from '@tintype/lib/run.ts'
import { used } from './config.ts'
import { serve } from './serve.ts'

const config = readConfig(process.env, used)
await run(
  () => serve(config),
  () => config.GRACE_SECONDS * 1000,
)
