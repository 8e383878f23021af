import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { type PartName, part, remedy } from '../../tools/parts.ts'
import { checkWritable } from '../../tools/writable.ts'
import { startTintype } from '../service.ts'
import { isRight, runDrill } from './campaign.ts'
import { drills } from './drills.ts'

const usage = `npm run release:drills [-- NAME …]

Starts a service under load (k6) and releases a good version and bad ones to it, one after the other. A bad version must
be named and rolled back, and the old version must fail no request and break no promise.
NAME is one of: ${drills.map(({ name }) => `"${name}"`).join(', ')}; default: all. Needs: npm run parts
  --out FILE  writes what the releases said as Markdown
Example: npm run release:drills -- "does not start" good
Exit status: 0 all ended as they must, 1 one did not, 2 bad arguments or a part is missing.`

async function main(args: string[]): Promise<number> {
  const { positionals, values } = readArguments(args, { out: { type: 'string' } }, true)
  const names: readonly string[] = positionals
  const unknown = names.find(each => !drills.some(({ name }) => name === each))
  if (unknown) throw new UsageError(`there is no drill "${unknown}"`)
  checkWritable('out', values.out)
  const needed: readonly PartName[] = ['k6', 'haproxy']
  const missing = needed.filter(each => !part(each))
  const k6 = part('k6')
  if (!k6 || missing.length > 0) throw new ExpectedError(`missing: ${missing.join(', ')}; ${remedy(missing)}`)
  const folder = mkdtempSync(join(tmpdir(), 'tintype-releases-'))
  const service = await startTintype(join(folder, 'data'), { SCRAPE_SECONDS: '1', GRACE_SECONDS: '10' })
  let text = ''
  let right = 0
  const chosen = drills.filter(({ name }) => names.length === 0 || names.includes(name))
  try {
    for (const drill of chosen) {
      console.log(`\n== ${drill.name}`)
      const finding = await runDrill(drill, service, { k6, folder, tell: console.log })
      const { failed, broken, kept } = finding
      const ok = isRight(drill, finding)
      right += Number(ok)
      const line = `k6: ${kept} kept; failed requests: ${failed.own} of the new version, ${failed.others} others; broken promises: ${broken.own} of the new version, ${broken.others} others`
      console.log(`${ok ? '✓' : '✗'} ${drill.name}: ${line}`)
      if (!ok) console.log(finding.failures.slice(0, 10).join('\n'))
      text += `### ${drill.name}\n\n\`\`\`\n${shortened(finding.said)}\n${line}\n\`\`\`\n\n`
    }
  } finally {
    if (values.out) writeFileSync(values.out, text)
    await service.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(`\nended as they must ${right}/${chosen.length}`)
  return right === chosen.length ? 0 : 1
}

/** Without the plan, which is always the same, and without the progress between the first and the last look of a step. */
const shortened = (said: string): string =>
  said
    .split('\n')
    .filter(line => line !== '' && !/^(Plan|\d+\.|Back to the old)/.test(line))
    .filter((line, i, all) => !/^ +\d+ s /.test(line) || !/^ +\d+ s /.test(all[i + 1] ?? ''))
    .join('\n')

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
