import { afterAll, beforeAll, expect, test } from 'vitest'
import { rules } from '../slo/alerts/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { faster } from '../slo/test/faster.ts'
import { describeWithParts, temporaryFolder, until } from '../test/support.ts'
import { freePort } from '../tools/free-port.ts'
import { type Stack, startStack } from '../tools/stack.ts'
import { allPanels, dashboardsOf } from './all.ts'
import { anotherFolder } from './test/directories.ts'
import { ask, emptyVariables, flawsOf } from './test/flaws.ts'

const directory = readDirectory(anotherFolder)
const specs = dashboardsOf(directory)

describeWithParts('dashboards of another service', ['prometheus', 'alertmanager'], () => {
  let stack: Stack
  const ending = new AbortController()
  let driven: Promise<unknown>

  beforeAll(async () => {
    const prometheusPort = await freePort()
    stack = await startStack({
      folder: await temporaryFolder(afterAll),
      // A Prometheus that scrapes itself, and a target that is down.
      endpoints: { itselfAdmin: `http://127.0.0.1:${prometheusPort}`, sloAdmin: 'http://127.0.0.1:9' },
      rules: faster(rules(directory.objectives, directory.service), 10),
      scrapeSeconds: 1,
      prometheusPort,
      alertmanagerPort: await freePort(),
      webhook: null,
    })
    driven = drive()
  }, 60_000)
  afterAll(async () => {
    ending.abort()
    await driven
    await stack?.stop()
  })

  /** Requests that succeed and requests that fail, until the test ends. */
  async function drive(): Promise<void> {
    while (!ending.signal.aborted) {
      await ask(stack.prometheus, 'up')
      await ask(stack.prometheus, 'sum(').catch(() => {})
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  test.each(specs.map(spec => [spec.title, spec] as const))(
    '%s returns what each panel says',
    { timeout: 120_000 },
    async (_title, spec) => {
      let flaws: string[] = []
      await until(
        async () => {
          flaws = (
            await Promise.all(allPanels(spec).map(panel => flawsOf(stack.prometheus, spec, panel)))
          ).flat()
          return flaws.length === 0
        },
        { timeoutMs: 100_000 },
      ).catch(() => {})
      expect([...flaws, ...(await emptyVariables(stack.prometheus, spec))]).toEqual([])
    },
  )
})
