import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { openQueue, queueUrl } from '@tintype/lib/queue/index.ts'
import sharp from 'sharp'
import { type Photo, person } from '../client.ts'
import { everyOutcome } from '../outcomes.ts'
import type { Tintype } from '../service.ts'
import { type Acknowledged, type Load, sha256 } from './load.ts'

export type Finding = { kind: 'lost' | 'duplicated' | 'invented' | 'spoilt'; photo: string; what: string }
export type Verdict = { acknowledged: number; ready: number; failed: number; findings: Finding[] }

/** The minute, a lease that has to run out, and a margin for a busy machine: whatever is not settled by then is lost. */
const settleMs = 180_000

/** Compares the service's answers and data with the clients' ledger. */
export async function verify(
  tintype: Pick<Tintype, 'address' | 'dataDir'>,
  ledger: string,
  load: Load,
  queue = queueUrl('', tintype.dataDir),
): Promise<Verdict> {
  const acknowledged = readLedger(ledger)
  const findings: Finding[] = []
  const states = { ready: 0, failed: 0 }
  for (const entry of acknowledged) {
    const found = await look(tintype, entry)
    if ('kind' in found) findings.push(found)
    else states[found.state]++
  }
  findings.push(...(await checkLists(load, acknowledged)))
  findings.push(...(await checkOutcomes(queue, acknowledged)))
  findings.push(...checkLog(tintype.dataDir))
  return { acknowledged: acknowledged.length, ...states, findings }
}

export const readLedger = (file: string): Acknowledged[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))

/** One photo as its person would check it: settled, the original's bytes, a thumbnail that decodes. */
async function look(
  { address }: Pick<Tintype, 'address'>,
  { photo, cookie, sha256: sent }: Acknowledged,
): Promise<Finding | { state: 'ready' | 'failed' }> {
  const owner = person(address, cookie)
  let settled: Photo
  try {
    settled = await owner.settled(photo, settleMs)
  } catch (error) {
    return { kind: 'lost', photo, what: (error as Error).message }
  }
  const original = await owner.request(`/photos/${photo}/original`)
  if (sha256(await bytesOf(original)) !== sent)
    return { kind: 'spoilt', photo, what: `the original (${original.status}) has other bytes than were sent` }
  if (settled.state === 'failed')
    return settled.reason ? { state: 'failed' } : { kind: 'lost', photo, what: 'it failed without a reason' }
  const thumbnail = await bytesOf(await owner.request(`/photos/${photo}/thumbnail`))
  try {
    await sharp(thumbnail, { failOn: 'warning' }).raw().toBuffer()
    return { state: 'ready' }
  } catch (error) {
    return { kind: 'spoilt', photo, what: `its thumbnail does not decode: ${(error as Error).message}` }
  }
}

const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer())

/** Each session's list: every acknowledged photo once, and no more others than uploads that had no answer. */
async function checkLists(load: Load, acknowledged: Acknowledged[]): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const someone of load.people) {
    const listed = await listOf(someone)
    const own = acknowledged.filter(({ cookie }) => cookie === someone.cookie).map(({ photo }) => photo)
    for (const photo of repeated(own))
      findings.push({ kind: 'duplicated', photo, what: 'answered to two uploads' })
    for (const photo of repeated(listed))
      findings.push({ kind: 'duplicated', photo, what: 'twice in the list' })
    for (const photo of own.filter(each => !listed.includes(each)))
      findings.push({ kind: 'lost', photo, what: 'not in its list' })
    const others = listed.filter(each => !own.includes(each))
    const allowed = load.unanswered.get(someone.cookie ?? '') ?? 0
    if (others.length > allowed)
      findings.push({
        kind: 'invented',
        photo: others.join(' '),
        what: `no client had an answer for these ${others.length}, and only ${allowed} uploads had no answer`,
      })
  }
  return findings
}

async function listOf(someone: Load['people'][number]): Promise<string[]> {
  const listed: string[] = []
  for (let path: string | null = '/photos'; path; ) {
    const page = (await (await someone.request(path)).json()) as { photos: Photo[]; next: string | null }
    listed.push(...page.photos.map(({ id }) => id))
    path = page.next
  }
  return listed
}

/**
 * The queue's own record: exactly one outcome for each photo. A converter killed between result and mark leaves a
 * photo that is ready for its person and has its outcome when the next one takes it up.
 */
async function checkOutcomes(url: string, acknowledged: Acknowledged[]): Promise<Finding[]> {
  const queue = await openQueue(url)
  let marked: string[]
  let missing: Acknowledged[]
  const deadline = Date.now() + settleMs
  do {
    marked = (await Array.fromAsync(everyOutcome(queue))).map(({ photo }) => photo)
    missing = acknowledged.filter(({ photo }) => !marked.includes(photo))
    if (missing.length > 0) await setTimeout(100)
  } while (missing.length > 0 && Date.now() < deadline)
  await queue.close()
  return [
    ...repeated(marked).map(photo => ({ kind: 'duplicated', photo, what: 'two outcomes' }) as const),
    ...missing.map(({ photo }) => ({ kind: 'lost', photo, what: 'no outcome' }) as const),
  ]
}

/** The process that sets a mark counts it and logs it: two entries for a photo are two counts. */
function checkLog(dataDir: string): Finding[] {
  const logged = files(join(dataDir, 'logs'))
    .filter(file => file.endsWith('.ndjson'))
    .flatMap(file => readFileSync(file, 'utf8').split('\n'))
    .filter(line => line.includes('"promise.'))
    .map(line => JSON.parse(line) as { id: string; payload: { photo: string } })
  // An entry is in the journal and in the log server's file until the shipper frees it.
  const once = new Map(logged.map(({ id, payload }) => [id, payload.photo]))
  return repeated([...once.values()]).map(photo => ({
    kind: 'duplicated',
    photo,
    what: 'its outcome was counted twice, says the log',
  }))
}

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))

const repeated = (values: string[]): string[] =>
  values.filter((value, index) => values.indexOf(value) !== index)
