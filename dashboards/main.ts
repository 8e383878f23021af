/** `npm run dashboards`: writes each dashboard's JSON; with --check, fails when what is committed differs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { dashboards } from './all.ts'
import { build } from './build.ts'

const folder = new URL('./generated/', import.meta.url)

export const render = (spec: (typeof dashboards)[number]): string =>
  `${JSON.stringify(build(spec), null, 2)}\n`
export const fileOf = (uid: string): URL => new URL(`${uid}.json`, folder)

if (import.meta.main) {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    process.stdout.write(
      'npm run dashboards [-- --check]\n\nWrites dashboards/generated/*.json from code; --check compares only and exits 1 when one differs.\n',
    )
  } else if (values.check) {
    const stale = dashboards.filter(spec => read(fileOf(spec.uid)) !== render(spec))
    for (const { uid } of stale)
      process.stderr.write(`dashboards/generated/${uid}.json differs from the code; run npm run dashboards\n`)
    process.exitCode = stale.length > 0 ? 1 : 0
  } else {
    mkdirSync(folder, { recursive: true })
    for (const spec of dashboards) writeFileSync(fileOf(spec.uid), render(spec))
    process.stdout.write(`wrote ${dashboards.length} dashboards to dashboards/generated/\n`)
  }
}

function read(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
