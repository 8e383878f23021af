import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { outliveReaders } from '@tintype/lib/terminal.ts'
import { launch, type Plan } from './launcher.ts'

const usage = `npm start

The whole service on one machine: checks every variable and port, starts each service, restarts what dies, and
stops all in order at Ctrl-C; a second Ctrl-C stops at once. docs/reference.md lists the variables.
Example: DATA_DIR=/srv/tintype WEB_PORT=80 npm start
Exit status: 0 stopped, 1 it did not start, 2 bad arguments or environment.`

const plan: Plan = {
  rows: [
    () => [{ name: 'logs', script: 'services/logs/main.ts', args: ['serve'] }],
    () => [
      { name: 'web', script: 'services/web/main.ts', args: [] },
      { name: 'converter', script: 'services/converter/main.ts', args: [] },
    ],
    () => [{ name: 'slo', script: 'slo/main.ts', args: ['serve'] }],
  ],
  // First requests end, then the work is finished. logs stops last, because it receives the others' entries.
  stopOrder: [['haproxy', 'web'], ['converter'], ['slo'], ['logs']],
}

outliveReaders()
const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => {
  readArguments(args, {})
  return launch(plan)
})
