import { accessSync, constants, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { noSuch, readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { replay as replayPhoto } from '@tintype/lib/photo/finish.ts'
import { isPhotoId } from '@tintype/lib/photo/record.ts'
import { openQueue, type Queue, queueUrl } from '@tintype/lib/queue/index.ts'
import { queueAddress } from '@tintype/lib/queue/queue-url.ts'
import { openStorage, type Storage, storageFolders, storageUrl } from '@tintype/lib/storage/index.ts'
import { pick } from '@tintype/lib/variables.ts'
import { openReadOnly } from '../slo/sources/recorder/read-only.ts'
import { forPhotos, rebuild } from './rebuild-queue.ts'

/** `npm run queue -- VERB`: shows the queue and repairs it; may run beside the service. */
const usage = `npm run queue -- VERB [--json]

  stats             photos waiting and in progress, dead letters, live converters
  dead              the dead letters, oldest first: photos that failed their last attempt
  replay ID...      queues dead letters again; --all: every one
  rebuild           after the loss of the queue: queues every unfinished photo of storage again, and restores the
                    outcome of every finished one. Stop the service, move what is left of the queue's file
                    away (in PostgreSQL drop the schema), rebuild, start.

Where: DATA_DIR, QUEUE_URL, STORAGE_URL, as for npm start.
Example: npm run queue -- replay --all
Exit status: 0 done, 1 something could not be, 2 bad arguments or no queue.`

const options = { json: { type: 'boolean' }, all: { type: 'boolean' } } as const

/** A verb's output: `json` for programs, `lines` for a terminal. */
type Answer = { json: unknown; lines: string[]; failed?: boolean }
type QueueAt = { url: string; mustExist: boolean }
type Ports = { queue: Queue; storage: Storage }

/** Most dead letters that are listed or replayed at once: more than an outage of a day leaves, about 300 bytes each. */
const maxDead = 1_000_000

async function stats(queue: Queue): Promise<Answer> {
  const json = await queue.stats()
  const { depth, claimed, dead, liveSlots, serviceSeconds, oldestSeconds } = json
  const lines = [
    `waiting           ${depth}, the oldest for ${oldestSeconds.toFixed(1)} s`,
    `in progress       ${claimed}`,
    `slots             ${liveSlots} of live converters`,
    `time of a photo   ${serviceSeconds === null ? 'not measured yet' : `${serviceSeconds.toPrecision(3)} s`}`,
    `dead letters      ${dead}`,
  ]
  return { json, lines }
}

async function dead(queue: Queue): Promise<Answer> {
  const json = await queue.deadLetters(maxDead)
  const lines = json.map(
    ({ job, attempts, reason }) =>
      `${job.photo}  received ${new Date(job.receivedAt).toISOString()}  ${attempts} attempts  ${reason?.code}`,
  )
  return { json, lines: lines.length > 0 ? lines : ['no dead letters'] }
}

const reading: Record<string, (queue: Queue) => Promise<Answer>> = { stats, dead }

async function replay(ports: Ports, ids: string[], all: boolean): Promise<Answer> {
  const letters = await ports.queue.deadLetters(maxDead)
  const chosen = all ? letters : letters.filter(({ job }) => ids.includes(job.photo))
  const replayed: string[] = []
  const failed: { photo: string; error: string }[] = []
  await forPhotos(chosen, async ({ job }) => {
    try {
      if ((await replayPhoto(ports, job)) === 'queued') replayed.push(job.photo)
    } catch (error) {
      // It stays a dead letter, and the others are replayed.
      failed.push({ photo: job.photo, error: (error as Error).message })
    }
  })
  const known = new Set([...replayed, ...failed.map(({ photo }) => photo)])
  const unknown = ids.filter(id => !known.has(id))
  return {
    json: { replayed, unknown, failed },
    lines: [
      ...replayed.map(id => `${id}  queued`),
      ...unknown.map(id => `${id}  is not a dead letter`),
      ...failed.map(({ photo, error }) => `${photo}  failed: ${error}`),
    ],
    failed: unknown.length + failed.length > 0,
  }
}

async function rebuildQueue({ storage, queue }: Ports): Promise<Answer> {
  // Accepted and settled photos are not counted again.
  const account = { accepted: () => {}, settled: () => {} }
  const json = await rebuild({ storage, queue, account })
  const { requeued, restored, known, unfinished, unreadable, failed } = json
  const lines = [
    `queued again ${requeued}, outcomes restored ${restored}, known already ${known}, never accepted ${unfinished}, older than 8 days ${json['too-old']}`,
    ...unreadable.map(key => `damaged: ${key}`),
    ...failed.map(({ key, error }) => `failed: ${key}: ${error}`),
  ]
  return { json, lines, failed: unreadable.length + failed.length > 0 }
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  const [verb = '', ...ids] = positionals
  const all = values.all ?? false
  const changing: Record<string, (ports: Ports) => Promise<Answer>> = {
    replay: ports => replay(ports, ids, all),
    rebuild: rebuildQueue,
  }
  const verbs = { ...reading, ...changing }
  if (!Object.hasOwn(verbs, verb)) throw noSuch('verb', verb, Object.keys(verbs))
  if (verb !== 'replay' && (ids.length > 0 || all))
    throw new UsageError(`${verb} takes neither ids nor --all`)
  if (verb === 'replay' && all === ids.length > 0) throw new UsageError('replay takes photo ids, or --all')
  const notIds = ids.filter(id => !isPhotoId(id))
  if (notIds.length > 0) throw new UsageError(`not a photo id: ${notIds.join(', ')}`)

  const config = readConfig(process.env, pick('DATA_DIR', 'QUEUE_URL', 'STORAGE_URL'))
  const queueAt = {
    url: queueUrl(config.QUEUE_URL, config.DATA_DIR),
    mustExist: verb !== 'rebuild',
  }
  const storageAt = storageUrl(config.STORAGE_URL, config.DATA_DIR)
  const change = changing[verb]
  // A wrong DATA_DIR would look like an empty service. Only rebuild creates a queue.
  if (change) assertThere('storage', ...storageFolders(storageAt))
  if (verb === 'replay') assertThere('queue', fileOf(queueAt))
  const { json, lines, failed } = change
    ? await withPorts(queueAt, storageAt, change)
    : await withReadable(queueAt, reading[verb] as (typeof reading)[string])
  process.stdout.write(`${values.json ? JSON.stringify(json) : lines.join('\n')}\n`)
  return failed ? 1 : 0
}

function fileOf({ url }: QueueAt): string | undefined {
  const address = queueAddress(url)
  return address && 'file' in address ? address.file : undefined
}

/** @throws ExpectedError when the path is given and does not exist. */
function assertThere(what: string, path?: string): void {
  if (path !== undefined && !existsSync(path))
    throw new ExpectedError(`there is no ${what}: ${path} does not exist`)
}

async function withPorts(
  { url, ...how }: QueueAt,
  storageAt: string,
  use: (ports: Ports) => Promise<Answer>,
): Promise<Answer> {
  // First: an open queue would keep the command alive if this fails.
  const storage = await openStorage(storageAt)
  // Without a limit, because every unfinished photo in storage is a promise.
  const queue = await openQueue(url, { ...how, maxDepth: Number.MAX_SAFE_INTEGER })
  try {
    return await use({ queue, storage })
  } finally {
    await queue.close()
    await storage.close()
  }
}

/** Reads a copy if the queue's file is read-only, because the engine opens files for writing. Creates no queue. */
async function withReadable(at: QueueAt, use: (queue: Queue) => Promise<Answer>): Promise<Answer> {
  const { url, ...how } = at
  const file = fileOf(at)
  const read = async (of: string) => {
    const queue = await openQueue(of, how)
    return use(queue).finally(() => queue.close())
  }
  if (file === undefined || isWritable(file)) return read(url)
  const folder = mkdtempSync(join(tmpdir(), 'tintype-'))
  try {
    copyTo(folder, file)
    return await read(`sqlite:${join(folder, 'queue.sqlite')}`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function copyTo(folder: string, file: string): void {
  const db = openReadOnly(file)
  if (!db) throw new ExpectedError(`there is no queue: ${file} does not exist`)
  db.prepare('VACUUM INTO ?').run(join(folder, 'queue.sqlite'))
  db.close()
}

function isWritable(file: string): boolean {
  try {
    for (const each of [file, dirname(file)]) accessSync(each, constants.W_OK)
    return true
  } catch {
    return false
  }
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
