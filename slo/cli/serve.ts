import { readConfig } from '@tintype/lib/config.ts'
import { run as runProcess } from '@tintype/lib/run.ts'
import { pick } from '@tintype/lib/variables.ts'
import { startSlo } from '../serve/start-slo.ts'
import { type Run, status } from './context.ts'

export const run: Run = async (_given, { directory, environment }) => {
  const { GRACE_SECONDS } = readConfig(environment, pick('GRACE_SECONDS'))
  await runProcess(
    async () => startSlo(directory(), environment),
    () => GRACE_SECONDS * 1000,
  )
  return status.good
}
