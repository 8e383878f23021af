import { join, relative } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rules } from '../slo/alerts/rules.ts'
import { type Program, startServer } from '../slo/examples/test/watched.ts'
import { faster } from '../slo/test/faster.ts'
import { describeWithParts, type Started, startScript, temporaryFolder, until } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'
import { type Stack, startStack } from '../tools/stack.ts'
import { allPanels, dashboardsOf } from './all.ts'
import { anotherDirectories } from './test/directories.ts'
import { ask, emptyVariables, flawsOf } from './test/flaws.ts'

/** A minute of the rules is six seconds of ours. */
const times = 10

const groups = anotherDirectories.flatMap(
  ({ objectives, service }) => faster(rules(objectives, service), times).groups,
)
const named = (name: string, i: number) => `${name}-${i}`

describeWithParts('dashboards of another service', ['prometheus', 'promtool', 'alertmanager'], parts => {
  let watched: Program
  let stack: Stack
  let slo: Started
  const ending = new AbortController()
  let driven: Promise<unknown>

  beforeAll(async () => {
    const folder = await temporaryFolder(afterAll)
    const [prometheusPort, sloAdminPort] = [await freePort(), await freePort()]
    watched = await startServer(parts, join(folder, 'watched'), {})
    stack = await startStack({
      folder: join(folder, 'stack'),
      // A Prometheus that scrapes itself, the one of the example, and slo, which probes it.
      endpoints: {
        itselfAdmin: `http://127.0.0.1:${prometheusPort}`,
        prometheusAdmin: watched.url,
        sloAdmin: `http://127.0.0.1:${sloAdminPort}`,
      },
      rules: { groups: groups.map((group, i) => ({ ...group, name: named(group.name, i) })) },
      scrapeSeconds: 1,
      keepDays: 1,
      prometheusPort,
      alertmanagerPort: await freePort(),
      webhook: null,
    })
    const environment = {
      DATA_DIR: join(folder, 'slo'),
      PROMETHEUS_URL: stack.prometheus,
      PROBE_URL: watched.url,
      SLO_PORT: '0',
      SLO_ADMIN_PORT: String(sloAdminPort),
    }
    slo = await startScript('slo/main.ts', environment, ['serve', '--config', 'slo/examples/prometheus'])
    driven = drive()
  })
  afterAll(async () => {
    ending.abort()
    await driven
    await slo?.stop()
    await stack?.stop()
    await watched?.stop()
  })

  /** Requests that succeed and requests that fail, until the test ends. */
  async function drive(): Promise<void> {
    while (!ending.signal.aborted) {
      for (const server of [stack.prometheus, watched.url]) {
        await ask(server, 'up')
        await ask(server, 'sum(').catch(() => {})
      }
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  const chosen = process.env.TEST_FULL ? anotherDirectories : anotherDirectories.slice(-1)
  const specs = chosen.flatMap(directory =>
    dashboardsOf(directory).map(spec => [relative('', directory.folder), spec.title, spec] as const),
  )
  test.each(specs)('of %s: %s returns what each panel says', async (_of, _title, spec) => {
    let flaws: string[] = []
    await until(
      async () => {
        const all = allPanels(spec).map(panel => flawsOf(stack.prometheus, spec, panel))
        flaws = (await Promise.all(all)).flat()
        return flaws.length === 0
      },
      { timeoutMs: 100_000 },
    ).catch(() => {})
    expect([...flaws, ...(await emptyVariables(stack.prometheus, spec))]).toEqual([])
  })
})
