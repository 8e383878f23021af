import { readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cached } from '@tintype/lib/cached.ts'
import { giveToOwner } from '@tintype/lib/disk.ts'
import { describeError, errorCode, messagesOf } from '@tintype/lib/errors.ts'
import { isLike } from '@tintype/lib/json.ts'

/** An alert that fires now. One message is sent for all alerts of a `group`: an objective, or the monitoring itself. */
export type Alert = {
  group: string
  /** The tier, or the fault of the monitoring; unique in its group. */
  name: string
  severity: 'page' | 'ticket'
  /** Labels that the alert of Prometheus' rules has, too. */
  labels?: Readonly<Record<string, string>>
  /** Epoch milliseconds. */
  since: number
  /** What the person on call needs to know, in up to three sentences. */
  text: string
  /** The verdict of diagnose; null before there is one. */
  diagnosis: string | null
  /** An address, or a path below the pages. */
  runbook: string
  /** Set in a message about other alerts of the group: this one has ended since the last message. */
  endedAt?: number
}

export type Message = Omit<Sent, 'sentAt' | 'receiver' | 'isEased'> & {
  status: 'firing' | 'resolved'
  at: number
}

/** The last message about a firing group. */
export type Sent = {
  group: string
  severity: 'page' | 'ticket'
  /** When the first alert of the group began, epoch milliseconds. */
  since: number
  sentAt: number
  /** A digest of the receiver's address; release 0.1 wrote none. */
  receiver?: string | undefined
  alerts: Alert[]
  /** The page has ended while tickets still fire: the next page is a message again. */
  isEased?: true
}

export type AlertStore = ReturnType<typeof openAlertStore>
/** Facts that survive a restart. */
export type Facts = Pick<AlertStore, 'get' | 'set'>

export const alertStoreFile = (dataDir: string): string => `${dataDir}/slo/alerts.json`

/** Limits `flush`, so that a disk that hangs does not prevent the process from ending. */
const flushMs = 2_000

type Content = { sent: [group: string, Sent][]; facts: [name: string, unknown][] }

const alertLike = { group: '', name: '', severity: '', since: 0, text: '', runbook: '' }
const sentLike = { group: '', severity: '', since: 0, sentAt: 0, alerts: [alertLike] }

/** Empty when the file is missing. A file that is unreadable or no store of alerts is reported and counts as empty. */
function read(file: string, onTrouble: (why: string) => void) {
  try {
    const { sent, facts } = JSON.parse(readFileSync(file, 'utf8')) as Content
    if (!sent.every(([, each]) => isLike(sentLike, each))) throw new TypeError('it is not a store of alerts')
    return { sent: new Map(sent), facts: new Map(facts) }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT')
      onTrouble(`${file} cannot be read, so what was sent may be sent again: ${messagesOf(error)}`)
    return { sent: new Map<string, Sent>(), facts: new Map<string, unknown>() }
  }
}

/**
 * Remembers what was sent, so that a restart repeats nothing. It is kept in memory and written in the background: no
 * call waits for the disk, throws or rejects. `onTrouble` gets an error of the disk, and null when the disk works
 * again. The next call always writes, also over a damaged file.
 */
export function openAlertStore(file: string, onTrouble: (why: string | null) => void = () => {}) {
  const { sent, facts } = read(file, onTrouble)
  let written = true

  const writeAll = cached(0, async (): Promise<void> => {
    while (!written) {
      written = true
      try {
        const content = { sent: [...sent], facts: [...facts] } satisfies Content
        await mkdir(dirname(file), { recursive: true })
        await writeFile(`${file}.tmp`, JSON.stringify(content), { flush: true, mode: 0o600 })
        giveToOwner(`${file}.tmp`)
        await rename(`${file}.tmp`, file)
        onTrouble(null)
      } catch (error) {
        written = false
        return onTrouble(describeError(error))
      }
    }
  })
  const write = (): void => {
    written = false
    void writeAll()
  }
  return {
    sent(): Sent[] {
      if (!written) void writeAll() // a call that finds nothing to write would miss what the caller changes next
      return [...sent.values()]
    },
    record({ group, status, severity, since, at, alerts }: Message, receiver?: string): void {
      const firing = alerts.filter(({ endedAt }) => endedAt === undefined)
      if (status === 'resolved') sent.delete(group)
      else sent.set(group, { group, severity, since, sentAt: at, receiver, alerts: firing })
      write()
    },
    /** Remembers that the page of a group has ended. */
    ease(of: Sent): void {
      sent.set(of.group, { ...of, isEased: true })
      write()
    },
    /** A fact that must survive a restart, by its name; undefined when what is stored is not like `sample`. */
    get<T>(name: string, sample: unknown): T | undefined {
      const fact = facts.get(name)
      return isLike(sample, fact) ? (fact as T) : undefined
    },
    set(name: string, value: unknown): void {
      facts.set(name, value)
      write()
    },
    /** Resolves when all is written, when writing failed, or after `flushMs`. */
    async flush(): Promise<void> {
      await Promise.race([writeAll(), sleep(flushMs, undefined, { ref: false })])
    },
  }
}
