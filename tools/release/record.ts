import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'

export type Outcome = 'released' | 'rolled back' | 'inconclusive' | 'interrupted'

/** What is known of a release while it runs: kept in a file, so that the next command knows of one that was killed. */
type UnderWay = {
  file: string
  title: string
  from: string
  to: string
  pid: number
  /** The last look: what the pages may show. */
  look?: Look
}

/** Both versions side by side, in one look. */
export type Look = {
  at: string
  percent: number
  verdict: string
  promises: { objective: string; old: Sides; new: Sides }[]
}
type Sides = { bad: number; total: number }

const folderOf = (dataDir: string): string => join(dataDir, 'releases')
const underWayFile = (dataDir: string): string => join(folderOf(dataDir), 'under-way.json')

export type Record = {
  /** Where it is written. */
  file: string
  /** A line with its time. */
  note(line: string): void
  /** Kept in DATA_DIR/releases/under-way.json while the release runs. */
  look(look: Look): void
  close(outcome: Outcome, summary: string): void
}

/** The Markdown record of a release: who, what, when, the evidence of each step, and how it ended. */
export function openRecord(dataDir: string, strategy: string, from: string, to: string): Record {
  mkdirSync(folderOf(dataDir), { recursive: true })
  const at = new Date().toISOString()
  const file = join(folderOf(dataDir), `${at.slice(0, 19).replaceAll(':', '-')}-${strategy}.md`)
  const title = `${strategy} release of ${to}`
  const underWay: UnderWay = { file, title, from, to, pid: process.pid }
  writeFileSync(underWayFile(dataDir), JSON.stringify(underWay), { flush: true })
  write(file, `# ${title}\n\nBegun ${at} by ${who()}, in place of ${from}.\n\n`)
  return {
    file,
    look: look => writeFileSync(underWayFile(dataDir), JSON.stringify({ ...underWay, look })),
    note: line => write(file, `- ${new Date().toISOString().slice(11, 19)} ${line}\n`),
    close(outcome, summary) {
      write(file, `\n**${outcome}** at ${new Date().toISOString()}: ${summary}\n`)
      rmSync(underWayFile(dataDir), { force: true })
    },
  }
}

const write = (file: string, text: string): void => writeFileSync(file, text, { flag: 'a', flush: true })

function who(): string {
  try {
    return userInfo().username
  } catch {
    return 'an unnamed user'
  }
}

/** A release whose command was killed: says so, once, and closes its record. */
export function settleKilled(dataDir: string): string | undefined {
  const file = underWayFile(dataDir)
  if (!existsSync(file)) return undefined
  const { file: record, title, from, pid } = JSON.parse(readFileSync(file, 'utf8')) as UnderWay
  if (isAlive(pid)) return undefined
  const said = `The ${title} ended without a word: its command was killed. The traffic is on the old version, ${from}.`
  write(
    record,
    `\n**interrupted**: the command was killed. The launcher gave the old version all customers back.\n`,
  )
  rmSync(file)
  return said
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
