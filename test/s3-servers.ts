import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { freePort } from '../tools/free-port.ts'
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
const [accessKey, secretKey] = ['tintype', 'tintype-secret']

/** What a process needs in its environment to reach the servers below; it never asks the network for credentials. */
export const s3Environment = {
  AWS_ACCESS_KEY_ID: accessKey,
  AWS_SECRET_ACCESS_KEY: secretKey,
  AWS_EC2_METADATA_DISABLED: 'true',
}

/** SeaweedFS in one process. It would report statistics to its makers: not from here. */
export async function startSeaweed(program: string): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-seaweed-'))
  const config = join(folder, 's3.json')
  const identity = { name: 'tintype', credentials: [{ accessKey, secretKey }], actions: ['Admin'] }
  await writeFile(config, JSON.stringify({ identities: [identity] }))
  const ports: Record<string, number> = {}
  for (const service of ['master', 'volume', 'filer', 's3'])
    for (const name of [`${service}.port`, `${service}.port.grpc`]) ports[name] = await freePort()
  const port = ports['s3.port'] as number
  const server = await start(folder, port, program, [
    'server',
    '-ip=127.0.0.1',
    '-ip.bind=127.0.0.1',
    `-dir=${folder}`,
    '-master.telemetry=false',
    // By default it waits 10 to 20 s for other masters when it is started again.
    '-master.electionTimeout=1s',
    '-master.volumeSizeLimitMB=256',
    '-volume.max=20',
    '-filer',
    `-filer.localSocket=${folder}/filer.sock`,
    '-s3',
    `-s3.localSocket=${folder}/s3.sock`,
    `-s3.config=${config}`,
    '-s3.port.iceberg=0',
    '-s3.port.lance=0',
    ...Object.entries(ports).map(([name, value]) => `-${name}=${value}`),
  ])
  const stop = async () => {
    await server.stop()
    // These have a fixed place, and a killed server leaves them.
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
  const keys = ['--access', accessKey, '--secret', secretKey]
  return start(folder, port, program, [
    ...keys,
    '--port',
    `127.0.0.1:${port}`,
    '--quiet',
    'posix',
    join(folder, 'root'),
  ])
}

async function start(folder: string, port: number, program: string, args: string[]): Promise<S3Server> {
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    maxAttempts: 1,
  })
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
  /** SeaweedFS answers before it can store. */
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${output}`)
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
    } catch (error) {
      if (!/^BucketAlready/.test((error as Error).name)) return false
    }
    const Body = Buffer.from('x')
    return client.send(new PutObjectCommand({ Bucket: bucket, Key: 'started', Body })).then(
      () => true,
      () => false,
    )
  }
  run()
  await until(isReady, { timeoutMs: 60_000, what: `${program} is ready` })
  return {
    url: `s3://${bucket}?endpoint=${endpoint}`,
    endpoint,
    client,
    signal: signal => void child.kill(signal),
    async crash() {
      await end()
      run()
      await until(isReady, { timeoutMs: 60_000, what: `${program} is ready again` })
    },
    async stop() {
      client.destroy()
      await end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
