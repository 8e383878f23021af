import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Lab, Prepared } from '../drill.ts'

const root = join(import.meta.dirname, '../../..')

/** A file of the checkout, the text to replace, and its replacement. */
export type Edit = [file: string, from: string | RegExp, to: string]

/** A checkout of its own, which is edited under the running service; then the converter restarts with it. */
export function releaseOf(edits: readonly Edit[]) {
  // An edit that no longer fits the code fails each test that lists the drills, not only a campaign.
  for (const edit of edits) edited(edit, root)
  return ({ folder }: Lab): Prepared => {
    const checkout = copyCheckout(join(folder, 'checkout'))
    return {
      checkout,
      inject({ pid }) {
        apply(edits, checkout)
        process.kill(pid('converter'), 'SIGTERM')
      },
    }
  }
}

/** Copies the executed files of this checkout into a separate folder. Returns the folder. */
export function copyCheckout(checkout: string): string {
  for (const part of ['lib', 'services', 'slo', 'tools', 'package.json'])
    cpSync(join(root, part), join(checkout, part), {
      recursive: true,
      filter: file => basename(file) !== 'node_modules',
    })
  linkModules(join(checkout, 'node_modules'), checkout)
  return checkout
}

export function apply(edits: readonly Edit[], checkout: string): void {
  for (const edit of edits) writeFileSync(join(checkout, edit[0]), edited(edit, checkout))
}

/** The file's text after an edit. */
function edited([file, from, to]: Edit, checkout: string): string {
  const before = readFileSync(join(checkout, file), 'utf8')
  const after = before.replace(from, to)
  if (after === before) throw new Error(`${file} no longer has ${from}`)
  return after
}

/** Links npm's packages of this checkout, and the copy's own workspaces. */
function linkModules(to: string, checkout: string): void {
  mkdirSync(join(to, '@tintype'), { recursive: true })
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@tintype') symlinkSync(join(root, 'node_modules', name), join(to, name))
  symlinkSync(join(checkout, 'lib'), join(to, '@tintype/lib'))
}
