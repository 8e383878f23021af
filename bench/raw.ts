/**
 * The raw limit: sharp in a separate process, with the service's options. It receives files by IPC and answers with the
 * time and CPU that they took.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import sharp from 'sharp'

export type Taken = { seconds: number; cpuSeconds: number; photoSeconds: number[] }

export type Raw = {
  /** `inFlight`: default one photo for each core. */
  convert(files: readonly string[], inFlight?: number): Promise<Taken>
  close(): void
}

export function startRaw(): Raw {
  const child = fork(import.meta.filename)
  return {
    async convert(files, inFlight = availableParallelism()) {
      child.send({ files, inFlight })
      const [taken] = await once(child, 'message')
      return taken
    },
    close: () => void child.kill(),
  }
}

const side = 320

const convert = (file: string): Promise<Buffer> =>
  sharp(file, { failOn: 'truncated' })
    .autoOrient()
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .flatten({ background: '#ffffff' })
    .jpeg()
    .toBuffer()

async function convertAll(files: string[], inFlight: number): Promise<Taken> {
  const photoSeconds: number[] = []
  const cpu = process.cpuUsage()
  const start = performance.now()
  const lane = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      const begun = performance.now()
      await convert(file)
      photoSeconds.push((performance.now() - begun) / 1000)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const { user, system } = process.cpuUsage(cpu)
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6, photoSeconds }
}

if (import.meta.main) {
  sharp.concurrency(1)
  sharp.cache(false)
  process.on('message', async ({ files, inFlight }: { files: string[]; inFlight: number }) => {
    process.send?.(await convertAll(files, inFlight))
  })
}
