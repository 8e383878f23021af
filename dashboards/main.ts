import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { makeFolder } from '@tintype/lib/disk.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { readDirectory, tintypeFolder } from '../slo/directory.ts'
import { dashboardsOf } from './all.ts'
import { build } from './build.ts'
import type { DashboardSpec } from './spec.ts'

const usage = `npm run dashboards [-- --config DIR] [--out DIR] [--check]

Writes Grafana dashboards as JSON: objectives, stages and resources of a directory of objectives and service.yaml, and
the dashboards that its folder dashboards/ holds as YAML.
  --config  the directory (default slo/tintype)
  --out     where the JSON goes (default dashboards/generated for slo/tintype, else DIR/generated/dashboards)
  --check   writes nothing; fails when a file differs, or is of a dashboard that does not exist any more
Example: npm run dashboards -- --config slo/examples/prometheus --out /var/lib/grafana/dashboards
Exit status: 0 done or equal, 1 a file differs, 2 bad arguments or an error in the directory.`

const options = {
  config: { type: 'string', default: tintypeFolder },
  out: { type: 'string' },
  check: { type: 'boolean' },
} as const

export const generatedFolder = fileURLToPath(new URL('./generated/', import.meta.url))

export const render = (spec: DashboardSpec): string => `${JSON.stringify(build(spec), null, 2)}\n`

function main(args: string[]): number {
  const { values } = readArguments(args, options)
  const config = resolve(values.config)
  const ofTintype = config === resolve(tintypeFolder)
  const out = resolve(values.out ?? (ofTintype ? generatedFolder : join(config, 'generated', 'dashboards')))
  const directory = readDirectory(config)
  const files = dashboardsOf(directory).map(spec => ({
    path: join(out, `${spec.uid}.json`),
    json: render(spec),
  }))
  const { service, displayName } = directory.service
  // Beside those of `shop` there may be files of `shop-api`.
  const isOurs = (path: string) =>
    readJsonFile<{ tags: string[] }>(path, { tags: [''] })?.tags.includes(displayName)
  const left = globSync(`${service}-*.json`, { cwd: out })
    .map(name => join(out, name))
    .filter(path => !files.some(file => file.path === path) && isOurs(path))
  for (const path of left)
    process.stderr.write(`${relative('', path)} is no dashboard of this directory any more: remove it\n`)
  if (values.check) {
    const stale = files.filter(({ path, json }) => !existsSync(path) || readFileSync(path, 'utf8') !== json)
    for (const { path } of stale)
      process.stderr.write(`${relative('', path)} differs from its directory; run npm run dashboards\n`)
    return stale.length + left.length > 0 ? 1 : 0
  }
  makeFolder(out)
  for (const { path, json } of files) writeFileSync(path, json)
  process.stdout.write(`wrote ${files.length} dashboards to ${relative('', out) || '.'}\n`)
  return 0
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}
