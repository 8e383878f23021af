import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { S3Client } from '@aws-sdk/client-s3'
import { freePort } from '../tools/free-port.ts'
import { clientOf, seaweedArguments, seaweedPorts, stores } from '../tools/scaled/seaweedfs.ts'
import { until } from './support.ts'

export type S3Server = {
  /** STORAGE_URL of an empty bucket. */
  url: string
  endpoint: string
  client: S3Client
  signal(signal: NodeJS.Signals): void
  /** Kills it with SIGKILL and starts it again on the same port and folder. */
  crash(): Promise<void>
  stop(): Promise<void>
}

export const bucket = 'photos'
const keys = { accessKeyId: 'tintype', secretAccessKey: 'tintype-secret' }

/** Variables with which a process reaches the servers below; the SDK then asks the network for no credentials. */
export const s3Environment = {
  AWS_ACCESS_KEY_ID: keys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
}

/** SeaweedFS in one process. A port that was free may be taken when it is wanted: then others are tried. */
export async function startSeaweed(program: string, tries = 3): Promise<S3Server> {
  try {
    return await tryToStartSeaweed(program)
  } catch (error) {
    if (tries > 1 && String(error).includes('address already in use')) return startSeaweed(program, tries - 1)
    throw error
  }
}

async function tryToStartSeaweed(program: string): Promise<S3Server> {
  // As long as a DATA_DIR may be: a socket's path may not.
  const folder = await mkdtemp(join(tmpdir(), `tintype-seaweed-${'long-'.repeat(20)}`))
  const ports = await seaweedPorts()
  const port = ports['s3.port'] as number
  const server = await start(folder, port, program, seaweedArguments(folder, ports, keys))
  const stop = async () => {
    await server.stop()
    // These files have a fixed place, and a killed server leaves them.
    for (const [name, value] of Object.entries(ports))
      await rm(`/tmp/seaweedfs-${name.replace('.port.grpc', '-grpc')}-${value}.sock`, { force: true })
  }
  return { ...server, stop }
}

/** versitygw on a folder. */
export async function startVersity(program: string): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-versity-'))
  const port = await freePort()
  await mkdir(join(folder, 'root'))
  return start(folder, port, program, [
    '--access',
    keys.accessKeyId,
    '--secret',
    keys.secretAccessKey,
    '--port',
    `127.0.0.1:${port}`,
    '--quiet',
    'posix',
    join(folder, 'root'),
  ])
}

async function start(folder: string, port: number, program: string, args: string[]): Promise<S3Server> {
  const endpoint = `http://127.0.0.1:${port}`
  const client = clientOf(endpoint, keys)
  let child: ChildProcess
  let output = ''
  const run = () => {
    child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', chunk => {
        output = (output + chunk).slice(-10_000)
      })
  }
  const end = async () => {
    const ended = once(child, 'exit')
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
      await ended
    }
  }
  const isReady = () => {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${output}`)
    return stores(client, bucket)
  }
  run()
  await until(isReady, { what: `${program} is ready` })
  return {
    url: `s3://${bucket}?endpoint=${endpoint}`,
    endpoint,
    client,
    signal: signal => void child.kill(signal),
    async crash() {
      await end()
      run()
      await until(isReady, { what: `${program} is ready again` })
    },
    async stop() {
      client.destroy()
      await end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
