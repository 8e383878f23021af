import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../tools/free-port.ts'
import { makeDatabase, postgresUser } from '../tools/scaled/postgres.ts'
import { childrenOf, processes } from './processes.ts'
import { until } from './support.ts'

export type Postgres = {
  port: number
  folder: string
  /** QUEUE_URL of an empty schema. */
  newUrl(): string
  /** Kills all of its processes with SIGKILL. */
  kill(): Promise<void>
  /** Resolves when it accepts connections. */
  start(): Promise<void>
  /** To all of its processes at once. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  stop(): Promise<void>
}

function send(signal: NodeJS.Signals, pids: number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended a moment ago.
    }
  }
}

/**
 * A PostgreSQL of the caller's own: in a temporary folder, on a free port, durable (fsync is on).
 * @param program its `postgres`; `initdb` lies beside it. @param settings lines for postgresql.conf.
 */
export async function startPostgres(program: string, settings: string[] = []): Promise<Postgres> {
  const who = postgresUser()
  const root = await mkdtemp(join(tmpdir(), 'tintype-postgres-'))
  const folder = join(root, 'data')
  if (who.uid !== undefined && who.gid !== undefined) await chown(root, who.uid, who.gid)
  makeDatabase(program, folder, who, ['--auth=trust', '--no-sync'])
  const port = await freePort()
  const lines = [
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    `port = ${port}`,
    'max_connections = 200',
    'recovery_init_sync_method = syncfs', // or each start after a crash opens every file
    ...settings,
  ]
  const file = join(folder, 'postgresql.conf')
  await writeFile(file, `${await readFile(file, 'utf8')}\n${lines.join('\n')}\n`)

  let server: ChildProcess | undefined
  let log = ''
  const own = () => {
    const pid = server?.pid
    return pid === undefined ? [] : [pid, ...childrenOf(pid).map(child => child.pid)]
  }
  async function start() {
    log = ''
    const started = spawn(program, ['-D', folder], {
      ...who,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    server = started
    started.stderr.on('data', chunk => {
      log += chunk
    })
    await until(() => /ready to accept/.test(log) || started.exitCode !== null, {
      what: 'PostgreSQL',
    })
    if (started.exitCode !== null) throw new Error(`PostgreSQL did not start:\n${log}`)
  }
  async function kill() {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    const pids = own()
    send('SIGKILL', pids)
    await exited
    // A new server does not start while processes of the last one hold its shared memory.
    await until(() => !processes().some(({ pid }) => pids.includes(pid)), { what: 'the end of PostgreSQL' })
  }
  await start()
  return {
    port,
    folder,
    newUrl: () =>
      `postgres://tintype@127.0.0.1:${port}/postgres?search_path=q_${randomUUID().replaceAll('-', '')}`,
    kill,
    start,
    signal: signal => send(signal, own()),
    async stop() {
      await kill()
      await rm(root, { recursive: true, force: true })
    },
  }
}
