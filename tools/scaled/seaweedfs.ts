import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { freePort } from '../free-port.ts'
import type { Service } from '../service-types.ts'

export type Keys = { accessKeyId: string; secretAccessKey: string }
export type Ports = Record<string, number>

export async function seaweedPorts(): Promise<Ports> {
  const ports: Ports = {}
  for (const service of ['master', 'volume', 'filer', 's3'])
    for (const name of [`${service}.port`, `${service}.port.grpc`]) ports[name] = await freePort()
  return ports
}

/**
 * Arguments of SeaweedFS as one process on loopback, started in its folder. Writes the keys that it accepts into the
 * folder.
 */
export function seaweedArguments(folder: string, ports: Ports, keys: Keys): string[] {
  const config = join(folder, 's3.json')
  const credentials = [{ accessKey: keys.accessKeyId, secretKey: keys.secretAccessKey }]
  const identities = [{ name: 'tintype', credentials, actions: ['Admin'] }]
  writeFileSync(config, JSON.stringify({ identities }), { mode: 0o600 })
  return [
    'server',
    '-ip=127.0.0.1',
    '-ip.bind=127.0.0.1',
    `-dir=${folder}`,
    // Otherwise it reports statistics to its makers.
    '-master.telemetry=false',
    // By default a restart waits 10 to 20 s for other masters.
    '-master.electionTimeout=1s',
    '-master.volumeSizeLimitMB=256',
    // As many as the disk holds. By default it takes 8, and answers 500 when they are full.
    '-volume.max=0',
    '-filer',
    // Relative, because a socket's path has at most 107 characters.
    '-filer.localSocket=filer.sock',
    '-s3',
    '-s3.localSocket=s3.sock',
    `-s3.config=${config}`,
    '-s3.port.iceberg=0',
    '-s3.port.lance=0',
    ...Object.entries(ports).map(([name, value]) => `-${name}=${value}`),
  ]
}

export const clientOf = (endpoint: string, credentials: Keys): S3Client =>
  new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials, maxAttempts: 1 })

/** Whether a server stores in this bucket, which is created if absent. SeaweedFS answers before it can store. */
export async function stores(client: S3Client, bucket: string): Promise<boolean> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  } catch (error) {
    if (!/^BucketAlready/.test((error as Error).name)) return false
  }
  return client.send(new PutObjectCommand({ Bucket: bucket, Key: 'started', Body: Buffer.from('x') })).then(
    () => true,
    () => false,
  )
}

export function seaweedfs(
  program: string,
  folder: string,
  ports: Ports,
  keys: Keys,
  bucket: string,
): Service {
  mkdirSync(folder, { recursive: true })
  return {
    name: 'seaweedfs',
    program,
    args: seaweedArguments(folder, ports, keys),
    folder,
    // After SIGTERM it would wait 15 s for internal connections. Acknowledged data is already in its files.
    stopSignal: 'SIGKILL',
    async answers() {
      const client = clientOf(`http://127.0.0.1:${ports['s3.port']}`, keys)
      const good = await stores(client, bucket)
      client.destroy()
      return good ? {} : undefined
    },
  }
}
