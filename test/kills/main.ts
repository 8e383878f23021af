/** `npm run kills -- --trials N`: kills at random under load, and compares with the clients' ledger. */
import { parseArgs } from 'node:util'
import { campaign } from './campaign.ts'

const { values } = parseArgs({
  options: { trials: { type: 'string', default: '50' }, seed: { type: 'string' } },
})
const trials = Number(values.trials)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
if (!Number.isInteger(trials) || trials < 1 || !Number.isInteger(seed)) {
  console.error('usage: npm run kills -- --trials N [--seed N]')
  process.exit(2)
}

console.log(`${trials} trials, seed ${seed}`)
const { lost, duplicated, findings, acknowledged } = await campaign(trials, seed, console.log)
for (const { kind, photo, what } of findings) console.log(`${kind}: ${photo}: ${what}`)
console.log(`${acknowledged} photos acknowledged`)
console.log(`lost ${lost}, duplicated ${duplicated}`)
process.exitCode = findings.length === 0 ? 0 : 1
