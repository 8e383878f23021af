import { afterAll, expect, onTestFinished, test } from 'vitest'
import { person } from '../../test/client.ts'
import { fastClock } from '../../test/clock.ts'
import { photo } from '../../test/images.ts'
import { startTintype, type Tintype } from '../../test/service.ts'
import { runScript, startScript, temporaryFolder } from '../../test/support.ts'

const hour = 3_600_000

async function sendPhotos({ address }: Tintype, count: number): Promise<void> {
  const [someone, image] = [person(address), await photo(64, 64, 1)]
  for (let i = 0; i < count; i++) {
    const { id } = (await (await someone.upload(image)).json()) as { id: string }
    expect((await someone.settled(id)).state).toBe('ready')
  }
}

/** What a report finds after everything stopped but the log server, which is started again. */
async function witnesses(dataDir: string): Promise<unknown> {
  const logs = await startScript(
    'services/logs/main.ts',
    { DATA_DIR: dataDir, LOGS_PORT: '0', LOGS_ADMIN_PORT: '0' },
    ['serve'],
  )
  onTestFinished(async () => void (await logs.stop()))
  const since = new Date(Date.now() - hour).toISOString()
  // No probe's minutes: the promise to be online is broken, which is exit status 1.
  const { out } = await runScript('slo/main.ts', ['report', '--json', '--since', since, '--window', '2h'], {
    DATA_DIR: dataDir,
    LOGS_URL: logs.endpoints.logs ?? '',
    // Two minutes ahead: a report does not count the minute that is not over.
    ...fastClock(Date.now() - 60_000, 3),
  })
  await logs.stop()
  return JSON.parse(out).witnesses
}

test('a restart with other ports before the first scrape loses no outcome', {
  timeout: 300_000,
}, async () => {
  const dataDir = await temporaryFolder(afterAll)
  let sent = 0
  for (const count of [3, 2]) {
    const tintype = await startTintype(dataDir, { SCRAPE_SECONDS: '60' })
    onTestFinished(async () => void (await tintype.stop('SIGKILL')))
    await sendPhotos(tintype, count)
    sent += count
    expect(await tintype.stop()).toBe(0)
  }
  const all = { kept: sent, broken: 0 }
  expect(await witnesses(dataDir)).toMatchObject({ metrics: all, traces: all, logs: all, agree: true })
})
