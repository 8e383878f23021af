import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { inherited } from '../tools/service.ts'
import { startTintype } from './service.ts'
import { temporaryFolder } from './support.ts'

/** What is only for the outgrown form. */
const heavy = /node_modules\/(@aws-sdk|@aws|@smithy|pg)\//

/** A module for --import that writes down each module that its process loads. */
async function startList() {
  const folder = await temporaryFolder()
  const [hook, list] = [join(folder, 'hook.mjs'), join(folder, 'list')]
  await writeFile(
    hook,
    `import { appendFileSync } from 'node:fs'
     import { registerHooks } from 'node:module'
     registerHooks({ load(url, context, next) {
       appendFileSync(${JSON.stringify(list)}, process.argv[1] + ' ' + url + '\\n')
       return next(url, context)
     } })`,
  )
  const loadedBy = async (script: string) => {
    const lines = (await readFile(list, 'utf8'))
      .split('\n')
      .filter(line => line.split(' ')[0]?.endsWith(script))
    return lines.map(line => line.split(' ')[1] as string)
  }
  return { hook: pathToFileURL(hook).href, loadedBy }
}

/** Of OpenTelemetry, where a photo's stages are traced into files: no exporter, no metrics, no logs, no instrumentation. */
const tracing = [
  'api',
  'context-async-hooks',
  'core',
  'otlp-transformer',
  'propagator-b3',
  'resources',
  'sdk-node',
  'sdk-trace',
  'semantic-conventions',
]

test('npm start loads nothing that is not used', async () => {
  const { hook, loadedBy } = await startList()
  const tintype = await startTintype(await temporaryFolder(), { NODE_OPTIONS: `--import ${hook}` })
  onTestFinished(async () => void (await tintype.stop()))
  const scripts = {
    'launch.ts': { telemetry: ['api'], not: /node_modules\/(express|prom-client|sharp|yaml)\// },
    'web/main.ts': { telemetry: tracing, not: /node_modules\/(sharp|libheif-js|yaml)\// },
    'converter/main.ts': { telemetry: tracing, not: /node_modules\/(sharp|libheif-js|yaml|image-size)\// },
    'logs/main.ts': { telemetry: ['api'], not: /node_modules\/(sharp|yaml)\// },
    'slo/main.ts': { telemetry: ['api'], not: /node_modules\/sharp\// },
    'child.ts': { telemetry: [], not: /node_modules\/(express|prom-client|winston|libheif-js)\// },
  }
  for (const [script, { telemetry, not }] of Object.entries(scripts)) {
    const modules = await loadedBy(script)
    expect(modules.length, script).toBeGreaterThan(10)
    expect(
      modules.filter(each => heavy.test(each) || not.test(each)),
      script,
    ).toEqual([])
    const found = modules.flatMap(each => /@opentelemetry\/([^/]+)/.exec(each)?.[1] ?? [])
    expect([...new Set(found)].toSorted(), script).toEqual(telemetry)
    expect(
      modules.filter(each => /@opentelemetry\/api\/.*\.cjs$/.test(each)),
      `${script} loads the API twice`,
    ).toEqual([])
  }
})

test('a converter’s child loads no storage, neither that of a folder nor the SDK of a bucket', async () => {
  const { hook, loadedBy } = await startList()
  const setup = JSON.stringify({ sizes: [{ side: 64, format: 'jpg' }], maxPixels: 1e6 })
  const started = fork(join(import.meta.dirname, '../services/converter/child.ts'), [setup], {
    env: inherited(),
    execArgv: ['--import', hook],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  onTestFinished(() => void started.kill('SIGKILL'))
  await Promise.race([once(started, 'message'), once(started, 'exit')])
  const loaded = await loadedBy('child.ts')
  expect(loaded.some(each => /converter\/convert\.ts$/.test(each))).toBe(true)
  expect(loaded.filter(each => heavy.test(each) || /lib\/storage\//.test(each))).toEqual([])
})
