import { createHash } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { type Person, type Photo, person } from '../client.ts'

/** One line of the ledger: written only by the client, when it holds the answer. */
export type Acknowledged = {
  photo: string
  cookie: string
  /** The hash of the sent bytes. */
  sha256: string
  /** The client's number of this upload. */
  upload: string
}

export type Load = {
  /** Uploads that were given up without an answer: their photos may exist or not. By session. */
  unanswered: Map<string, number>
  people: Person[]
  /** Starts no more uploads, and waits for those in progress. */
  stop(): Promise<void>
}

/** Two more than the slots of a small machine: something is always waiting, being sent and being converted. */
const clients = 4
const retryMs = 50
/** Between two uploads of a client. Without it they take both processors of a small machine, and each photo is verified. */
const paceMs = 100
/** A service that accepts nothing for this time has failed. */
const insistMs = 60_000

/**
 * People that upload one photo after the other. Half of the uploads carry an Idempotency-Key and are repeated until
 * they are answered; the others are sent once.
 */
export async function startLoad(
  address: string,
  images: Buffer[],
  ledger: string,
  random: () => number,
): Promise<Load> {
  const unanswered = new Map<string, number>()
  const people = Array.from({ length: clients }, () => person(address))
  for (const someone of people) await someone.request('/photos')
  let stopping = false

  async function run(someone: Person, name: number): Promise<void> {
    const cookie = someone.cookie as string
    for (let count = 0; !stopping; count++, await setTimeout(paceMs)) {
      const image = images[Math.floor(random() * images.length)] as Buffer
      const upload = `${name}-${count}-${Math.floor(random() * 2 ** 32)}`
      const photo = random() < 0.5 ? await insist(someone, image, upload) : await sendOnce(someone, image)
      if (!photo) unanswered.set(cookie, (unanswered.get(cookie) ?? 0) + 1)
      else append(ledger, { photo: photo.id, cookie, sha256: sha256(image), upload })
    }
  }

  const running = people.map(run)
  return {
    unanswered,
    people,
    async stop() {
      stopping = true
      await Promise.all(running)
    },
  }
}

async function insist(someone: Person, image: Buffer, key: string): Promise<Photo | undefined> {
  for (const deadline = Date.now() + insistMs; Date.now() < deadline; ) {
    const photo = await sendOnce(someone, image, { 'Idempotency-Key': key })
    if (photo) return photo
  }
  return undefined
}

/** Undefined without an answer 202: killed meanwhile, refused, or busy. */
async function sendOnce(
  someone: Person,
  image: Buffer,
  headers: Record<string, string> = {},
): Promise<Photo | undefined> {
  try {
    const answer = await someone.upload(image, headers)
    if (answer.status === 202) return (await answer.json()) as Photo
    await answer.body?.cancel()
  } catch {
    // A kill broke the connection: the client has no answer for its ledger.
  }
  await setTimeout(retryMs)
  return undefined
}

const append = (ledger: string, line: Acknowledged): void =>
  appendFileSync(ledger, `${JSON.stringify(line)}\n`, { flush: true })

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
