import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { buildOf } from '../../tools/release/builds.ts'
import { person } from '../client.ts'
import { photo } from '../images.ts'
import { startScript, temporaryFolder } from '../support.ts'

const root = join(import.meta.dirname, '../..')
/** The last release: the newest entry of CHANGELOG.md. */
const commit = /· ([0-9a-f]{40})$/m.exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))?.[1] ?? ''
const installMs = 600_000

describe.runIf(process.env.TEST_FULL)(
  'this version beside the last release, on one queue and one storage',
  () => {
    let last = ''
    beforeAll(() => {
      last = buildOf({ commit }).root
    }, installMs)

    async function start(
      checkout: string,
      service: 'web' | 'converter',
      environment: Record<string, string>,
    ) {
      const script = join(checkout, 'services', service, 'main.ts')
      const running = await startScript(script, environment)
      onTestFinished(async () => void (await running.stop('SIGKILL')))
      return running.endpoints
    }

    test.each([
      ['the last release’s converter works for this web', 'new', 'old'],
      ['this converter works for the last release’s web', 'old', 'new'],
      ['the last release starts on the tables of this version', 'new then old', 'old'],
    ])('%s', { timeout: 180_000 }, async (_, web, converter) => {
      const at = (which: string) => (which === 'old' ? last : root)
      const environment = {
        DATA_DIR: await temporaryFolder(),
        INSTANCE: 'a',
        WEB_PORT: '0',
        WEB_ADMIN_PORT: '0',
        CONVERTER_ADMIN_PORT: '0',
        CONVERTER_SLOTS: '1',
        LOGS_PORT: '9',
      }
      if (web === 'new then old') await start(root, 'web', { ...environment, INSTANCE: 'b' })
      const { web: address = '' } = await start(at(web === 'new' ? 'new' : 'old'), 'web', environment)
      await start(at(converter), 'converter', environment)
      const someone = person(address)
      for (let seed = 1; seed <= 3; seed++) {
        const answer = await someone.upload(await photo(400, 300, seed), { Prefer: 'wait=60' })
        expect(answer.status, await answer.clone().text()).toBe(201)
        const { id } = (await answer.json()) as { id: string }
        expect(await someone.photo(id)).toMatchObject({ state: 'ready', kept: true })
      }
    })
  },
)
