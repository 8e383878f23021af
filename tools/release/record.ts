import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { replaceFile } from '@tintype/lib/disk.ts'
import { isRunning, processName } from '@tintype/lib/process-name.ts'
import { type ReleaseLook, readUnderWay, type UnderWay, underWayFile } from '../../slo/serve/under-way.ts'

export type ReleaseOutcome = 'released' | 'rolled back' | 'inconclusive' | 'interrupted'

const folderOf = (dataDir: string): string => join(dataDir, 'releases')

export type Record = {
  file: string
  /** Adds a line with its time. */
  note(line: string): void
  /** Writes DATA_DIR/releases/under-way.json, which exists during the release. */
  look(look: ReleaseLook): void
  /** Called before everybody moves, which the launcher finishes when the command is killed. */
  keep(): void
  close(outcome: ReleaseOutcome, summary: string): void
}

/** The Markdown record of a release: who, what, when, the evidence of each step, and how it ended. */
export function openRecord(dataDir: string, strategy: string, from: string, to: string): Record {
  mkdirSync(folderOf(dataDir), { recursive: true })
  const at = new Date().toISOString()
  const file = join(folderOf(dataDir), `${at.slice(0, 19).replaceAll(':', '-')}-${strategy}.md`)
  const title = `${strategy} release of ${to}`
  const underWay: UnderWay = { file, title, from, to, process: processName(process.pid) as string }
  writeUnderWay(dataDir, underWay)
  write(file, `# ${title}\n\nBegun ${at} by ${who()}, in place of ${from}.\n\n`)
  return {
    file,
    look: look => writeUnderWay(dataDir, { ...underWay, look }),
    keep: () => writeUnderWay(dataDir, { ...underWay, from: to }),
    note: line => write(file, `- ${new Date().toISOString().slice(11, 19)} ${line}\n`),
    close(outcome, summary) {
      write(file, `\n**${outcome}** at ${new Date().toISOString()}: ${summary}\n`)
      rmSync(underWayFile(dataDir), { force: true })
    },
  }
}

/** The pages read it. */
const writeUnderWay = (dataDir: string, underWay: UnderWay): void =>
  replaceFile(underWayFile(dataDir), JSON.stringify(underWay))

const write = (file: string, text: string): void => writeFileSync(file, text, { flag: 'a', flush: true })

function who(): string {
  try {
    return userInfo().username
  } catch {
    return 'an unnamed user'
  }
}

/** Closes the record of a release whose command was killed. Returns a sentence about it, once. */
export function settleKilled(dataDir: string): string | undefined {
  const underWay = readUnderWay(dataDir)
  if (!underWay || isRunning(underWay.process)) return undefined
  const { file: record, title, from } = underWay
  const killed = `its command was killed, and the launcher gave all customers to ${from}.`
  write(record, `\n**interrupted**: ${killed}\n`)
  rmSync(underWayFile(dataDir))
  return `The ${title} ended without a word: ${killed}`
}
