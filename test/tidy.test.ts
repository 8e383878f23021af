import { execFileSync } from 'node:child_process'
import { limitNames, limits } from '@tintype/lib/limits.ts'
import { metrics } from '@tintype/lib/telemetry/definitions.ts'
import { variables } from '@tintype/lib/variables.ts'
import { describe, expect, test } from 'vitest'
import {
  files,
  importCycles,
  importsOf,
  isTest,
  places,
  reachable,
  read,
  root,
  workspaceOf,
} from './tidy/sources.ts'

/** Every violation as `file:line: what is wrong; how to fix it`. */
const expectNone = (violations: string[]) => expect(violations.join('\n')).toBe('')

const sources = files('{lib,services,slo,dashboards,tools,bench,test,loadtest}/**/*.ts')
const products = sources.filter(file => !isTest(file))
const ofWorkspaces = products.filter(file => workspaceOf(file) !== '')
const packages = files('{.,lib,slo,services/*}/package.json')
const manifest = (file: string) => JSON.parse(read(file))
const dependenciesOf = (file: string) => {
  const { dependencies, optionalDependencies } = manifest(file)
  const all = Object.entries({ ...dependencies, ...optionalDependencies })
  return Object.fromEntries(all.filter(([name]) => !/^node-/.test(name))) // those are Node itself
}

describe('imports', () => {
  const imports = ofWorkspaces.flatMap(importsOf)
  const between = imports.filter(({ file, target }) => {
    const to = target.includes('/') ? workspaceOf(target) : ''
    return to !== '' && to !== workspaceOf(file)
  })

  test('lib depends on npm only, services and slo on lib', () => {
    expectNone(
      between
        .filter(({ target }) => workspaceOf(target) !== 'lib')
        .map(
          ({ file, line, specifier }) =>
            `${file}:${line}: imports ${specifier}; move what both need to lib, or meet through storage, queue or HTTP`,
        ),
    )
  })

  test('a workspace is entered by its package name', () => {
    expectNone(
      between
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ file, line, target }) => `${file}:${line}: climbs to ${target}; import @tintype/${target}`),
    )
  })

  test('product code imports neither tests nor tools', () => {
    expectNone(
      imports
        .filter(({ target }) => /^(test|tools|bench|dashboards)\//.test(target) || target === 'vitest')
        .map(({ file, line, target }) => `${file}:${line}: imports ${target}; only tests may`),
    )
  })

  test('each package that is imported is a dependency of its own workspace', () => {
    const declared = new Map(
      packages.map(file => [file.replace(/\/?package.json$/, ''), dependenciesOf(file)]),
    )
    expectNone(
      imports
        .filter(({ target }) => !target.startsWith('node:') && !/\.(ts|json)$/.test(target))
        .filter(({ file, target }) => !(target in (declared.get(workspaceOf(file)) ?? {})))
        .map(
          ({ file, line, target }) =>
            `${file}:${line}: ${target} is not in ${workspaceOf(file)}/package.json; add it there, exact version`,
        ),
    )
  })

  test('each dependency is used, and has an exact version', () => {
    const violations = packages.flatMap(file => {
      const folder = file.replace('package.json', '')
      return Object.entries(dependenciesOf(file)).flatMap(([name, version]) => [
        ...(/^\d/.test(String(version)) ? [] : [`${file}: ${name} ${version}; write one exact version`]),
        ...(files(`${folder}**/*.{ts,yaml}`).some(each => read(each).includes(name))
          ? []
          : [`${file}: ${name} is used nowhere in ${folder}; remove it`]),
      ])
    })
    expectNone(violations)
  })

  test('only a port names its adapters, and loads them when opened', () => {
    const port = /^lib\/(storage|queue)\//
    const noAdapter = /\/(engine|index|job|key|port|storage|\w+-url)\.ts$/
    expectNone([
      ...[...products, ...files('bench/**/*.ts')]
        .filter(file => !port.test(file))
        .flatMap(importsOf)
        .filter(({ target }) => port.test(target) && !/\/(index|\w+-url|s3-client)\.ts$/.test(target))
        .map(
          ({ file, line, target }) =>
            `${file}:${line}: imports ${target}; import its port's index.ts and open a URL`,
        ),
      ...['lib/storage/index.ts', 'lib/queue/index.ts']
        .flatMap(importsOf)
        .filter(({ target, dynamic }) => port.test(target) && !noAdapter.test(target) && !dynamic)
        .map(
          ({ file, line, target }) =>
            `${file}:${line}: imports ${target} at once; use await import() in open()`,
        ),
    ])
  })

  test('lib, the services and slo have no import cycle, also none by types', () => {
    expectNone(
      importCycles(ofWorkspaces).map(
        cycle =>
          `${cycle.toSorted().join(', ')}: import each other; move what they share to a file that imports none of them`,
      ),
    )
  })

  test('no process loads undici, by an import of node:http or by fetch', () => {
    const ownHttp = 'lib/http/node-http.ts'
    const calls = ofWorkspaces
      .filter(file => !/\/(page|browser)\//.test(file))
      .flatMap(file => places(file, /\bfetch\(/g))
    expectNone([
      ...imports
        .filter(({ target, isType }) => target === 'node:http' && !isType)
        .map(({ file, line }) => `${file}:${line}: imports node:http; take http from ${ownHttp}`),
      ...calls.map(({ at }) => `${at}: calls fetch; use lib/http/bounded-request.ts`),
    ])
  })

  test('web reaches no image library', () => {
    const web = files('services/web/**/*.ts').filter(file => !isTest(file))
    const pixels = [...reachable(web)].filter(target => /^(sharp|@img|jimp|canvas)/.test(target))
    expect(pixels, 'web never touches pixels: move what decodes to services/converter').toEqual([])
    expect(manifest('services/web/package.json').dependencies).not.toHaveProperty('sharp')
  })
})

test('the converter decodes in its children only', () => {
  const decoders = [...reachable(['services/converter/main.ts'])].filter(target =>
    /^(sharp|libheif)/.test(target),
  )
  expect(
    decoders,
    'main.ts and worker.ts touch no stranger’s bytes: move what decodes behind child.ts',
  ).toEqual([])
})

describe('limits', () => {
  test('each limit is a number, or a variable that sets it', () => {
    expectNone(
      Object.entries(limits)
        .filter(([, { value }]) => typeof value !== 'number' && !(value in variables))
        .map(
          ([name, { value }]) => `lib/limits.json: ${name} is ${value}; name a variable of lib/variables.ts`,
        ),
    )
  })

  test('each limit of lib/limits.json is reached by a test', () => {
    const tests = files('{lib,services,slo,tools,test}/**/*.test.ts').map(read).join('\n')
    expectNone(
      limitNames
        .filter(
          name =>
            !new RegExp(
              `(limits?[.:=]|'(?=[a-z]+[A-Z])|[Ll]imit\\(|reached\\([^)]*?)\\s*['"]?${name}\\b`,
            ).test(tests),
        )
        .map(
          name =>
            `lib/limits.json: no test reaches ${name}; write one that expects tintype_limit_reached_total{limit="${name}"} or reads limits.${name}`,
        ),
    )
  })
})

describe('processes', () => {
  /** Entry points that Node starts: they count as a main.ts. */
  const entries = /(^|\/)(main|child)\.ts$/

  test('only main.ts reads the environment', () => {
    expectNone(
      ofWorkspaces
        // npm leaves the options there that it took; the client of S3 finds proxies there, as its SDK finds the credentials.
        .filter(file => !entries.test(file) && !/^lib\/(command-line|run|storage\/s3-client)\.ts$/.test(file))
        .flatMap(file => places(file, /process\.env\b(?!\.\w+ = )/g))
        .map(
          ({ at }) =>
            `${at}: reads process.env; take the value as an argument, from main.ts and lib/variables.ts`,
        ),
    )
  })

  test('only main.ts handles signals, by lib/run.ts', () => {
    expectNone(
      ofWorkspaces
        .filter(file => !entries.test(file) && file !== 'lib/run.ts')
        .flatMap(file => places(file, /process\.(on|once)\('SIG\w+'/g))
        .map(({ at }) => `${at}: handles a signal; put it into the stop() that main.ts gives to lib/run.ts`),
    )
  })
})

test('each command outlives a reader that leaves', () => {
  const scripts: Record<string, string> = manifest('package.json').scripts
  expectNone(
    Object.values(scripts)
      .flatMap(script => /node (?:--\S+ )*(\S+\.ts)/.exec(script)?.[1] ?? [])
      .filter(file => {
        const loaded = [file, ...importsOf(file).map(({ target }) => target)]
        const text = loaded
          .filter(each => /\.ts$/.test(each) && each !== 'lib/terminal.ts')
          .map(read)
          .join()
        return /console\.|process\.std/.test(text) && !/(outlive(Early)?Readers|runCommand)\(/.test(text)
      })
      .map(
        file =>
          `${file}: an EPIPE would end it; run it by runCommand(), or call outliveReaders() if it is to run on`,
      ),
  )
})

test('a checkout may lie in a folder with spaces', () => {
  for (const script of Object.values<string>(manifest('package.json').scripts))
    expect(script).not.toMatch(/(?<!")\$PWD/)
  // A URL's pathname has %20 for a space.
  expectNone(sources.flatMap(file => places(file, /import\.meta\.url\)\.pathname/g).map(({ at }) => at)))
})

test('a signal to npm start reaches the launcher', () => {
  const { start, scaled } = manifest('package.json').scripts
  for (const script of [start, scaled])
    expect(
      script,
      'npm signals what it started: without exec a shell, which dies and leaves the launcher',
    ).toMatch(/^exec /)
})

describe('names', () => {
  test('each metric that is named anywhere is in the catalogue', () => {
    const known = (name: string) =>
      /^tintype_(session|number)$/.test(name) || // the cookie
      name in metrics ||
      name.replace(/_(bucket|sum|count|created)$/, '') in metrics
    expectNone(
      files('{lib,services,slo,dashboards,k8s,loadtest,tools,bench,docs}/**/*.{ts,json,yaml,yml,md}')
        .filter(file => !isTest(file)) // which misspell on purpose
        .flatMap(file => places(file, /(?<![\w-])tintype_[a-z_]+[a-z](?![\w*])/g))
        .filter(({ match }) => !known(match))
        .map(
          ({ at, match }) => `${at}: ${match}; name it in lib/telemetry/definitions.ts or mend the spelling`,
        ),
    )
  })

  test('each log entry about a photo has its session, by which a person finds it', () => {
    expectNone(
      ofWorkspaces
        .flatMap(file => places(file, /\blog\s*\.\w+\([^,()]+,\s*\{ photo\b[^}]*\}\s*\)/g))
        .map(({ at, match }) => `${at}: ${match}; add sessionOf(owner)`),
    )
  })

  test('each variable in k8s and compose is one that a process reads', () => {
    /** Read by Node, libc or the images beside ours. */
    const foreign =
      /^(NODE_ENV|NODE_OPTIONS|MALLOC_ARENA_MAX|UV_THREADPOOL_SIZE|GF_\w+|AWS_\w+|PGDATA|POSTGRES_\w+|ROOT_\w+_KEY)$/
    expectNone(
      files('{k8s/**/*.{yaml,env},compose.yaml,Dockerfile}')
        .flatMap(file =>
          places(file, /(?<![\w$])[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b(?=\s*[:=])|(?<=name: )[A-Z][A-Z0-9_]+\b/g),
        )
        .filter(({ match }) => !(match in variables) && !foreign.test(match))
        .map(({ at, match }) => `${at}: ${match}; name it in lib/variables.ts or mend the spelling`),
    )
  })
})

describe('files', () => {
  const maxLines = 250

  test('no two files of lib, the services and slo share a name', () => {
    // A folder of pages has these, also where another folder does.
    const everywhere = ['main.ts', 'app.ts', 'index.ts', 'words.ts', 'api.ts', 'live.ts', 'status.ts']
    // Verbs of the command line are named as they are typed, modules as the key of service.yaml that names them.
    const named = ofWorkspaces.filter(file => !/^slo\/(cli|tintype)\//.test(file))
    const byName = Map.groupBy(named, file => file.slice(file.lastIndexOf('/') + 1))
    expectNone(
      [...byName]
        .filter(([name, of]) => of.length > 1 && !everywhere.includes(name))
        .map(([, of]) => `${of.join(', ')}: name each after what only it exports`),
    )
  })

  test(`no file of the product is over ${maxLines} lines`, () => {
    expectNone(
      products
        .map(file => ({ file, lines: read(file).trimEnd().split('\n').length }))
        .filter(({ lines }) => lines > maxLines)
        .map(
          ({ file, lines }) =>
            `${file}: ${lines} lines; is it one thing? Move a second one to a file of its own`,
        ),
    )
  })

  test('each file that a page names exists, and no merge has left one: a browser would ask in vain for it', () => {
    const named = files('{services/*,slo}/page/*.html').flatMap(file =>
      places(file, /\{assets\}\/(page|lib)\/[\w.-]+/g).map(({ at, match }) => {
        const [, part = '', name = ''] = match.split('/')
        const folder = part === 'lib' ? 'lib/page/browser' : file.slice(0, file.lastIndexOf('/'))
        return { at, path: `${folder}/${name}` }
      }),
    )
    const known = new Set(files('{services/*,slo}/page/*').concat(files('lib/page/browser/*')))
    expect(named.length).toBeGreaterThan(10)
    expectNone([
      ...named.filter(({ path }) => !known.has(path)).map(({ at, path }) => `${at}: there is no ${path}`),
      ...files('**/*.{orig,rej}').map(file => `${file}: is left of a merge; delete it`),
    ])
  })

  test('no file names a folder or a registry of one machine', () => {
    expectNone([
      ...files('{**/*.{ts,css,html,json,yaml,yml,md,env},Dockerfile,.ci/run}')
        .flatMap(file => places(file, /(?<![\w.])\/(root|home\/\w+|work|tmp\/w)\//g))
        .map(({ at, match }) => `${at}: ${match}; make it relative to the file or to a temporary folder`),
      ...places('package-lock.json', /"resolved": "http[^"]*"/g).map(
        ({ at }) => `${at}: names a registry; install again with the project's .npmrc`,
      ),
    ])
  })

  test('format, lint and types are clean', { timeout: 300_000 }, () => {
    const { status, output } = npmRun('lint')
    expect(status, `npm run format mends most of it:\n${output}`).toBe(0)
  })
})

function npmRun(script: string): { status: number; output: string } {
  try {
    return { status: 0, output: execFileSync('npm', ['run', '-s', script], { cwd: root, encoding: 'utf8' }) }
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string }
    return { status, output: stdout + stderr }
  }
}
