import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { dashboards } from './all.ts'
import { build } from './build.ts'

const usage = `npm run dashboards [-- --check]

Writes dashboards/generated/*.json from code; --check compares only.
Example: npm run dashboards -- --check
Exit status: 0 done or equal, 1 a file differs, 2 bad arguments.`

const folder = new URL('./generated/', import.meta.url)

export const render = (spec: (typeof dashboards)[number]): string =>
  `${JSON.stringify(build(spec), null, 2)}\n`
export const fileOf = (uid: string): URL => new URL(`${uid}.json`, folder)

function main(args: string[]): number {
  if (readArguments(args, { check: { type: 'boolean' } }).values.check) {
    const stale = dashboards.filter(spec => read(fileOf(spec.uid)) !== render(spec))
    for (const { uid } of stale)
      process.stderr.write(`dashboards/generated/${uid}.json differs from the code; run npm run dashboards\n`)
    return stale.length > 0 ? 1 : 0
  }
  mkdirSync(folder, { recursive: true })
  for (const spec of dashboards) writeFileSync(fileOf(spec.uid), render(spec))
  process.stdout.write(`wrote ${dashboards.length} dashboards to dashboards/generated/\n`)
  return 0
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}

function read(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
