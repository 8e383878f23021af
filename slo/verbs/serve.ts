import { readConfig } from '@tintype/lib/config.ts'
import { run } from '@tintype/lib/run.ts'
import { pick } from '@tintype/lib/variables.ts'
import { readOptions, status, type Verb } from '../cli.ts'
import { serve } from '../serve.ts'

const usage = `slo serve

Keeps watch until it is stopped: probes, records, evaluates each minute, tells who is to be told, and shows the
pages at SLO_PORT. Configured by the environment (README).`

export const verb: Verb = {
  usage,
  async run(args, { environment }) {
    readOptions(args, {})
    const { GRACE_SECONDS } = readConfig(environment, pick('GRACE_SECONDS'))
    await run(
      () => serve(environment),
      () => GRACE_SECONDS * 1000,
    )
    return status.good
  },
}
