import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { dayMs, dayOf } from '@tintype/lib/day.ts'
import { expect, onTestFinished, test } from 'vitest'
import type { Lab } from '../../test/faults/drill.ts'
import { wrongClock } from '../../test/faults/inject/preloaded.ts'
import { cluster } from '../../test/logs/cluster.ts'
import { temporaryFolder, until } from '../../test/support.ts'
import { foldersIn } from './files.ts'
import { countLines, readJournals } from './fixture.ts'

const hasCompiler = process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0

test.skipIf(!hasCompiler)(
  'the log server’s clock goes a day ahead and back: each entry is in the file of its day (needs Linux and gcc)',
  async () => {
    const dataDir = await temporaryFolder()
    const lab = { folder: await temporaryFolder(), onEnd: () => {} } as unknown as Lab
    const { environment, inject } = wrongClock(lab, 'services/logs/main.ts', dayMs / 1000)
    const run = cluster(dataDir)
    const server = await run.startServer(environment)
    onTestFinished(async () => void (await server.stop('SIGKILL')))
    const clockOfServer = async () => {
      const text = await (await fetch(`${server.endpoints.logs}/sizing.json`)).headers.get('date')
      return Date.parse(text ?? '')
    }
    const writer = run.startWriter(0)
    onTestFinished(() => void writer.child.kill('SIGKILL'))
    const { streams } = foldersIn(dataDir)
    const received = () => countLines(streams)
    const more = async () => {
      const before = received()
      await until(() => received() > before + 50, { what: 'more entries at the log server' })
    }
    await more()
    inject?.({} as never)
    await until(async () => (await clockOfServer()) > Date.now() + dayMs / 2, { what: 'the step ahead' })
    await more()
    writeFileSync(join(lab.folder, 'clock-ahead'), new Uint8Array(8), { flag: 'r+' })
    await until(async () => (await clockOfServer()) < Date.now() + dayMs / 2, { what: 'the step back' })
    await more()
    expect(readdirSync(streams)).not.toContain(dayOf(Date.now() + dayMs))
    const misplaced = Object.entries(readJournals(streams)).flatMap(([name, entries]) =>
      // The server's own entries have its own wrong time.
      entries.filter(
        ({ id, timestamp }) => !/^logs/.test(String(id)) && !String(timestamp).startsWith(dirname(name)),
      ),
    )
    expect(misplaced).toEqual([])
  },
)
