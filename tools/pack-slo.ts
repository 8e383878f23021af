import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { stripTypes } from '@tintype/lib/page/pages.ts'
import { files, importsOf } from '../test/tidy/sources.ts'

const usage = `npm run pack-slo [-- --to FOLDER]

Writes @tintype/slo as a tarball that npm installs anywhere: JavaScript, for Node strips no types below node_modules,
with the files of lib that it imports, the pages, the examples and type declarations.
  --to  the folder that the tarball is written to (default: .tmp)
Example: npm run pack-slo && npm install --global .tmp/tintype-slo-*.tgz
Exit status: 0 written, 1 it could not be, 2 bad arguments.`

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Modules that other programs import, packed with their types. */
const published = files('slo/{math,objectives}/*.ts').filter(file => !file.endsWith('.test.ts'))
/** Copied unchanged: pages are stripped of types when they are served; the other files are data. */
const asTheyAre = [
  'slo/page',
  'slo/cli/first',
  'slo/objectives/lint-rules.yaml',
  'slo/alerts/alertmanager.yaml',
  'lib/page/browser',
  'slo/examples',
  ...['budget-burn', 'monitoring-blind', 'slo-watchdog', 'watchdog-silent'].flatMap(name => [
    `docs/runbooks/${name}.md`,
    `docs/ko/runbooks/${name}.md`,
  ]),
  'docs/slo.md',
  ...['budgets', 'diagnosis'].flatMap(name => [`docs/${name}.md`, `docs/ko/${name}.md`]),
  'LICENSE',
]

/** All files that these entries import, without Tintype's directory, the queue's adapters and code for browsers. */
function loadedBy(...entries: readonly string[]): string[] {
  const found = new Set(entries)
  for (const file of found)
    for (const { target, dynamic } of file.endsWith('.ts') ? importsOf(file) : []) {
      const isOurs = /^(lib|slo)\/.*\.(ts|json)$/.test(target)
      const isAdapter = dynamic && target.startsWith('lib/queue/')
      if (isOurs && !isAdapter && !/^slo\/(tintype|page)\//.test(target)) found.add(target)
    }
  return [...found].sort()
}

function compile(all: readonly string[], into: string): void {
  declare(into)
  for (const file of all)
    write(into, file.replace(/\.ts$/, '.js'), file.endsWith('.ts') ? stripTypes(read(file)) : read(file))
}

/** Writes the type declarations of the published modules and of types that they use. */
function declare(into: string): void {
  const config = join(into, 'tsconfig.json')
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: root,
    outDir: into,
  }
  const project = { extends: join(root, 'tsconfig.json'), compilerOptions, include: [] }
  writeFileSync(
    config,
    JSON.stringify({
      ...project,
      files: loadedBy(...published).flatMap(file => (file.endsWith('.ts') ? [join(root, file)] : [])),
    }),
  )
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { stdio: 'inherit' })
  rmSync(config)
  for (const file of globSync('**/*.d.ts', { cwd: into }))
    write(into, file, readFileSync(join(into, file), 'utf8'))
}

function write(into: string, file: string, text: string): void {
  mkdirSync(dirname(join(into, file)), { recursive: true })
  writeFileSync(join(into, file), javascriptImports(file, text))
}

/** Adapts imports to the package: all files are JavaScript, and `@tintype/lib/x.ts` is a relative path. */
const javascriptImports = (file: string, text: string): string =>
  text
    .replaceAll(/(['"])@tintype\/(lib|slo)\/([^'"]+\.ts)\1/g, (_, quote, workspace, path) => {
      const target = relative(dirname(file), `${workspace}/${path}`)
      return `${quote}${target.startsWith('.') ? target : `./${target}`}${quote}`
    })
    .replaceAll(/((?:from|import)\s*\(?\s*['"]\.[^'"]+)\.ts(?=['"])/g, '$1.js')

/** Replaces a link to a page that is not in the package by its text. */
const packedLinks = (page: string, text: string, into: string): string =>
  text.replaceAll(/\[([^\]]+)\]\(([^):#]+)(#[^)]*)?\)/g, (link, words, target) =>
    existsSync(join(into, dirname(page), target)) ? link : words,
  )

/** The npm packages that the sources import, with versions. Optional ones stay optional. */
function dependencies(all: readonly string[]) {
  const [slo, lib] = ['slo', 'lib'].map(name => JSON.parse(read(`${name}/package.json`)))
  const known = { ...lib.dependencies, ...slo.dependencies }
  const imported = new Set(all.flatMap(importsOf).map(({ target }) => target))
  const pick = (from: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(from)
        .filter(([name]) => imported.has(name))
        .sort(),
    )
  // Of any release with the same major number: npm refuses a package whose peer is another than the project has.
  const optional = Object.entries(pick(lib.optionalDependencies)).map(
    ([name, version]) => [name, `^${Number.parseInt(version, 10)}`] as const,
  )
  return {
    dependencies: pick(known),
    peerDependencies: Object.fromEntries(optional),
    peerDependenciesMeta: Object.fromEntries(optional.map(([name]) => [name, { optional: true }])),
  }
}

function manifest(all: readonly string[]): object {
  const { version, license } = JSON.parse(read('package.json'))
  const subpath = (folder: string) => ({ types: `./slo/${folder}/*.d.ts`, default: `./slo/${folder}/*.js` })
  return {
    name: '@tintype/slo',
    version,
    license,
    description: JSON.parse(read('slo/package.json')).description,
    keywords: ['slo', 'sli', 'error-budget', 'burn-rate', 'openslo', 'prometheus', 'alerting', 'sre'],
    type: 'module',
    engines: { node: '>=26' },
    bin: { slo: 'slo/main.js' },
    exports: { './math/*': subpath('math'), './objectives/*': subpath('objectives') },
    ...dependencies(all),
  }
}

/** Writes the tarball and resolves with its path. */
export function pack(to: string): string {
  mkdirSync(to, { recursive: true })
  // Below the root, because the compiler looks for packages in parent folders.
  mkdirSync(join(root, '.tmp'), { recursive: true })
  const into = mkdtempSync(join(root, '.tmp', 'pack-slo-'))
  try {
    const all = loadedBy('slo/main.ts', ...published)
    compile(all, into)
    for (const path of asTheyAre)
      cpSync(join(root, path), join(into, path), {
        recursive: true,
        filter: each => !/\.test\.ts$/.test(each),
      })
    for (const page of globSync('docs/**/*.md', { cwd: into }))
      writeFileSync(join(into, page), packedLinks(page, readFileSync(join(into, page), 'utf8'), into))
    const readme = read('slo/README.md')
      .replaceAll('](../', '](')
      .replaceAll('](examples/', '](slo/examples/')
    writeFileSync(join(into, 'README.md'), readme)
    writeFileSync(join(into, 'package.json'), JSON.stringify(manifest(all), null, 2))
    const options = { cwd: into, encoding: 'utf8' } as const
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--pack-destination', resolve(to)], options),
    )
    return join(to, packed.filename)
  } finally {
    rmSync(into, { recursive: true })
  }
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => {
    const { values } = readArguments(args, { to: { type: 'string' } })
    console.log(pack(values.to ?? join(root, '.tmp')))
    return 0
  })
}
