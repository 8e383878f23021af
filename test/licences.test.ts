import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const permissive = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT']

/** Licences with conditions for passing a package on, each with why it may stay. */
const exceptions: [name: RegExp, licence: RegExp, reason: string][] = [
  [/^libheif-js$/, /^LGPL-3\.0$/, 'the decoder of HEIC, loaded from its own file'],
  [/^@img\/sharp-/, /LGPL-3\.0-or-later/, 'libvips, the shared library that sharp loads'],
  [/^(lightningcss|axe-core)/, /^MPL-2\.0$/, 'of tests, in no installation without development tools'],
]

type Package = { license?: string; link?: boolean }
const read = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'))
const { packages } = read('package-lock.json') as { packages: Record<string, Package> }

/** SPDX: a choice among licences needs one that is allowed, a sum all. */
const isPermissive = (licence: string): boolean =>
  licence
    .replace(/[()]/g, '')
    .split(' OR ')
    .some(choice => choice.split(' AND ').every(each => permissive.includes(each)))

test('every package has a permissive licence; the exceptions are named, with their reason', () => {
  const wrong = Object.entries(packages).flatMap(([path, { license, link }]) => {
    if (!path.includes('node_modules/') || link) return []
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    // A package for another platform is not installed: what the lock file says of it counts.
    const installed = existsSync(join(root, path)) ? read(`${path}/package.json`).license : license
    const licence = String(installed ?? 'none')
    const isException = exceptions.some(([names, licences]) => names.test(name) && licences.test(licence))
    return isPermissive(licence) || isException ? [] : [`${name}: ${licence}`]
  })
  expect(wrong, 'choose another package, or name it among the exceptions with its reason').toEqual([])
})

test('no exception is left over', () => {
  const paths = Object.keys(packages)
  const unused = exceptions.filter(
    ([name]) => !paths.some(path => name.test(path.replace(/.*node_modules\//, ''))),
  )
  expect(unused).toEqual([])
})

test('the project itself says its licence', () => {
  expect(read('package.json').license).toBe('MIT')
  expect(readFileSync(join(root, 'LICENSE'), 'utf8')).toMatch(/^MIT License/)
})
