import { readArguments } from '@tintype/lib/command-line.ts'
import { run } from '@tintype/lib/run.ts'
import { program } from '../directory.ts'
import { serve } from '../serve/serve.ts'
import { status, type Verb } from './context.ts'

const usage = `slo serve [--config DIR]

Keeps watch until it is stopped: probes, records, evaluates each minute, tells who is to be told, and shows the
pages at SLO_PORT. Configured by the environment (README).
Example: PROMETHEUS_URL=http://127.0.0.1:9090 ${program} serve --config slo/examples/prometheus
Exit status: 0 stopped, 1 it could not start, 2 bad environment.`

export const verb: Verb = {
  usage,
  async run(args, { directory, environment }) {
    readArguments(args, {})
    await run(async () => serve(directory(), environment))
    return status.good
  },
}
