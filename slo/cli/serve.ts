import { run as runProcess } from '@tintype/lib/run.ts'
import { startSlo } from '../serve/start-slo.ts'
import { status, type Verb } from './context.ts'

export const run: Verb = async (_given, { directory, environment }) => {
  await runProcess(async () => startSlo(directory(), environment))
  return status.good
}
