import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { campaign } from './campaign.ts'

const usage = `npm run kills [-- --trials N] [--seed N]

Kills processes with kill -9 at random moments under load, and compares the service with the clients' own ledger.
  --trials  how many times (default 50)
  --seed    kills the same processes at the same moments as the run that printed it
Example: npm run kills -- --trials 5 --seed 2
Exit status: 0 nothing lost or duplicated, 1 something was, 2 bad arguments or no photo was tried.`

const options = { trials: { type: 'string', default: '50' }, seed: { type: 'string' } } as const

async function main(args: string[]): Promise<number> {
  const { values } = readArguments(args, options)
  const trials = Number(values.trials)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
  if (!Number.isInteger(trials) || trials < 1) throw new UsageError('--trials must be a whole number above 0')
  if (!Number.isInteger(seed)) throw new UsageError('--seed must be a whole number')
  console.log(`${trials} trials, seed ${seed}`)
  const { lost, duplicated, findings, acknowledged } = await campaign(trials, seed, console.log)
  for (const { kind, photo, what } of findings) console.log(`${kind}: ${photo}: ${what}`)
  console.log(`${acknowledged} photos acknowledged`)
  if (acknowledged === 0) throw new ExpectedError('no photo was acknowledged: this says nothing')
  console.log(`lost ${lost}, duplicated ${duplicated}`)
  return findings.length === 0 ? 0 : 1
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
