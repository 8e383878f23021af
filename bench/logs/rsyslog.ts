import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { freePort } from '../../tools/free-port.ts'
import { line } from './lines.ts'

export type Survived = { entriesPerSecond: number; lost: number; doubled: number }

export const hasRsyslog = (): boolean => spawnSync('rsyslogd', ['-v']).status === 0

/** When nothing has come for so long, nothing will. */
const quietMs = 8_000
const stream = 'web.0.1700000000'

/**
 * rsyslog at its most careful: a file is read (imfile), sent with acknowledgements (RELP) out of a queue that goes to
 * disk, and written with an fsync for each transaction; the receiver is killed -9 so many times while it comes in.
 */
export async function throughRsyslog(folder: string, entries: number, kills: number): Promise<Survived> {
  for (const name of ['sender', 'receiver']) mkdirSync(join(folder, name), { recursive: true })
  const input = join(folder, 'in.log')
  const output = join(folder, 'out.log')
  const at = new Date().toISOString()
  writeFileSync(input, Array.from({ length: entries }, (_, i) => line(stream, i + 1, at)).join(''))
  const port = await freePort()
  const receiver = `global(workDirectory="${folder}/receiver" maxMessageSize="64k")
module(load="imrelp") input(type="imrelp" port="${port}" address="127.0.0.1")
template(name="raw" type="string" string="%msg:::drop-last-lf%\\n")
action(type="omfile" file="${output}" template="raw" sync="on" flushOnTXEnd="on" asyncWriting="off")\n`
  const sender = `global(workDirectory="${folder}/sender" maxMessageSize="64k")
module(load="imfile") module(load="omrelp")
input(type="imfile" file="${input}" tag="t:" persistStateInterval="1000")
action(type="omrelp" target="127.0.0.1" port="${port}" action.resumeRetryCount="-1" action.resumeInterval="1"
  queue.type="LinkedList" queue.filename="q" queue.saveOnShutdown="on" queue.size="${2 * entries}")\n`
  let receiving = start(folder, 'receiver', receiver)
  const began = performance.now()
  const sending = start(folder, 'sender', sender)
  const count = () => (existsSync(output) ? readFileSync(output, 'latin1').split('\n').length - 1 : 0)
  for (let kill = 1; kill <= kills; kill++) {
    const seen = count()
    const deadline = performance.now() + quietMs
    while (count() === seen && performance.now() < deadline) await setTimeout(20)
    await end(receiving)
    receiving = start(folder, 'receiver', receiver)
  }
  let last = { count: -1, at: performance.now() }
  while (performance.now() - last.at < quietMs) {
    const now = count()
    if (now !== last.count) last = { count: now, at: performance.now() }
    await setTimeout(100)
  }
  const seconds = (last.at - began) / 1000
  await end(sending)
  await end(receiving)
  const times = new Map<string, number>()
  for (const each of readFileSync(output, 'utf8').split('\n')) {
    const id = /"id":"([^"]+)"/.exec(each)?.[1]
    if (id) times.set(id, (times.get(id) ?? 0) + 1)
  }
  const doubled = [...times.values()].reduce((sum, n) => sum + n - 1, 0)
  return { entriesPerSecond: times.size / seconds, lost: entries - times.size, doubled }
}

function start(folder: string, name: string, config: string): ChildProcess {
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, config)
  return spawn('rsyslogd', ['-n', '-f', file, '-i', join(folder, `${name}.pid`)], { stdio: 'ignore' })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
