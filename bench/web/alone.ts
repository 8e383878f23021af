import { join } from 'node:path'
import { type Owner, ownerOf } from '@tintype/lib/photo/record.ts'
import type { Queue } from '@tintype/lib/queue/index.ts'
import { person } from '../../test/client.ts'
import { startScript } from '../../test/support.ts'
import { queueOf } from '../photos.ts'
import { type Bench, unlimited } from '../run.ts'

/** A web process without a converter, and a visitor with a session there. */
export type WebAlone = {
  address: string
  pid: number
  dataDir: string
  queue: Queue
  cookie: string
  owner: Owner
}

/** Signs the cookies of all web processes of a benchmark, so that they share sessions. */
const SESSION_SECRET = 'bench'.repeat(8)
/** Shorter than the 10 s after which the queue forgets a converter. */
const announceMs = 3_000

/** Starts web as the launcher does, and announces fictitious converters, so that web accepts photos into the queue. */
export async function startWeb({ folder, onEnd }: Bench, name: string): Promise<WebAlone> {
  const dataDir = join(folder, name)
  const queue = await queueOf(dataDir)
  onEnd(queue.close)
  const announce = () => queue.announce({ id: 'none', slots: 1_000, serviceSeconds: 0.001 })
  await announce()
  const timer = setInterval(announce, announceMs)
  onEnd(() => clearInterval(timer))
  const web = await startScript('services/web/main.ts', {
    ...unlimited,
    DATA_DIR: dataDir,
    WEB_PORT: '0',
    WEB_ADMIN_PORT: '0',
    SESSION_SECRET,
    // No log server runs, so the entries stay in the journal.
    LOGS_URL: 'http://127.0.0.1:9',
    NODE_OPTIONS: '--max-semi-space-size=8',
  })
  onEnd(() => web.stop('SIGKILL'))
  const address = web.endpoints.web ?? ''
  const visitor = person(address)
  await (await visitor.request('/photos')).arrayBuffer()
  const cookie = visitor.cookie ?? ''
  const owner = ownerOf(decodeURIComponent(cookie.split('=')[1] ?? '').split('.')[0] ?? '')
  return { address, pid: web.child.pid as number, dataDir, queue, cookie, owner }
}
