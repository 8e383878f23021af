import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Lab, Prepared } from './drill.ts'

const root = join(import.meta.dirname, '../..')

/** A checkout of its own, into which a new version is put under the running service; then the converter restarts. */
export function badRelease({ folder }: Lab): Prepared {
  const checkout = join(folder, 'checkout')
  for (const part of ['lib', 'services', 'slo', 'tools', 'package.json'])
    cpSync(join(root, part), join(checkout, part), {
      recursive: true,
      filter: file => basename(file) !== 'node_modules',
    })
  linkModules(join(checkout, 'node_modules'), checkout)
  return {
    checkout,
    inject({ pid }) {
      edit(join(checkout, 'package.json'), /"version": "[^"]+"/, '"version": "99.0.0"')
      edit(
        join(checkout, 'services/converter/child.ts'),
        'const conversion = await run(original)',
        (line: string) => `for (let extra = 0; extra < 2; extra++) await run(original)\n    ${line}`,
      )
      process.kill(pid('converter'), 'SIGTERM')
    },
  }
}

function edit(file: string, from: string | RegExp, to: string | ((found: string) => string)): void {
  const before = readFileSync(file, 'utf8')
  const after = before.replace(from, to as string)
  if (after === before) throw new Error(`${file} no longer has ${from}`)
  writeFileSync(file, after)
}

/** Everything from npm as it is here; the workspaces from the checkout. */
function linkModules(to: string, checkout: string): void {
  mkdirSync(join(to, '@tintype'), { recursive: true })
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@tintype') symlinkSync(join(root, 'node_modules', name), join(to, name))
  symlinkSync(join(checkout, 'lib'), join(to, '@tintype/lib'))
}
