import { execFile, execFileSync, spawnSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ExpectedError } from '@tintype/lib/errors.ts'
import type { Endpoints, Service } from '../service-types.ts'

type User = { uid?: number; gid?: number }

/** The user that runs PostgreSQL: as root the user of Debian's package, because PostgreSQL refuses to run as root. */
export function postgresUser(): User {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** Another program of the same version. The one on the PATH may be a link. */
const beside = (program: string, name: string): string => join(dirname(realpathSync(program)), name)

/** Creates the database's files. `options` are those of `initdb`. */
export function makeDatabase(program: string, folder: string, user: User, options: string[]): void {
  const initdb = ['-D', folder, '-U', 'tintype', '-E', 'UTF8', '--locale=C', ...options]
  execFileSync(beside(program, 'initdb'), initdb, {
    ...user,
    cwd: dirname(folder),
    // Its reason becomes part of the error.
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

/**
 * The server that fits the files. An upgrade of Debian brings a newer one, which refuses them, and keeps the older one.
 * @throws ExpectedError when that is not installed.
 */
export function serverFor(data: string, program: string): string {
  const made = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  const server = realpathSync(program).replace(/\/\d+(?=\/bin\/\w+$)/, `/${made}`)
  const { stdout } = spawnSync(server, ['--version'], { encoding: 'utf8' })
  if (new RegExp(`^\\D*${made}(?!\\d)`).test(stdout ?? '')) return server
  throw new ExpectedError(
    `${data} was made by PostgreSQL ${made}, which is not installed: install postgresql-${made}, or convert the files by pg_upgrade`,
  )
}

/**
 * After a kill a new server refuses to start while backends of the old one still run, and while the lock file exists.
 * Removes the lock file when no process is left in the folder.
 */
async function clearAfterKill(data: string): Promise<void> {
  const isIn = (pid: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === data
    } catch {
      return false // The process ended, or belongs to another user.
    }
  }
  const isServed = () => readdirSync('/proc').some(isIn)
  for (let tries = 0; tries < 100 && isServed(); tries++) await sleep(100)
  if (!isServed()) rmSync(join(data, 'postmaster.pid'), { force: true })
}

/**
 * PostgreSQL on a loopback port, with its files in `folder`, which the first start creates.
 * @throws ExpectedError when its user cannot reach the folder, or no server fits its files.
 */
export async function postgres(
  program: string,
  folder: string,
  port: number,
  password: string,
): Promise<Service> {
  const user = postgresUser()
  const data = join(folder, 'data')
  mkdirSync(folder, { recursive: true })
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  if (spawnSync('test', ['-w', folder], user).status !== 0)
    throw new ExpectedError(
      `PostgreSQL runs as the user postgres, who cannot reach ${folder}: choose a DATA_DIR that every user may enter, such as /srv/tintype`,
    )
  // Written last, so that an interrupted creation is repeated.
  const made = join(folder, 'made')
  if (!existsSync(made)) {
    rmSync(data, { recursive: true, force: true })
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, password, { mode: 0o600 })
    if (user.uid !== undefined && user.gid !== undefined) chownSync(passwordFile, user.uid, user.gid)
    makeDatabase(program, data, user, ['--auth=scram-sha-256', `--pwfile=${passwordFile}`])
    rmSync(passwordFile)
    writeFileSync(made, '')
  }
  const server = serverFor(data, program)
  await clearAfterKill(realpathSync(data))
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
  }
  return {
    name: 'postgres',
    program: server,
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    folder,
    user,
    // Not SIGTERM, which would wait until connections are closed.
    stopSignal: 'SIGINT',
    answers: () =>
      new Promise<Endpoints | undefined>(resolve => {
        const asked = ['-q', '-h', '127.0.0.1', '-p', String(port)]
        execFile(beside(server, 'pg_isready'), asked, error => resolve(error ? undefined : {}))
      }),
  }
}
