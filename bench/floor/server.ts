/**
 * The floor: the minimum of a durable thumbnail service. An HTTP server streams each body to a file, a forked process
 * converts it with sharp, and the same fsyncs as Tintype's, in the same order, make it durable. It has no durable
 * queue, telemetry, log or limits. Each goal of `npm run bench -- floor` and `-- web` is a ratio to it.
 *
 *   server.ts serve FOLDER [CHILDREN]   prints nothing; sends its port to its parent
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** A photo's folder, and a function to call when its thumbnail is durable. */
type Job = { folder: string; done: () => void }

const record = Buffer.alloc(600, 'x')

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  await handle.sync()
  await handle.close()
}

/** Writes a file whose bytes are durable under its final name; the folder's entry is not yet. */
async function put(file: string, body: Buffer | IncomingMessage): Promise<void> {
  const draft = `${file}.draft`
  if (Buffer.isBuffer(body)) await writeFile(draft, body, { flush: true })
  else await pipeline(body, createWriteStream(draft, { flush: true }))
  await rename(draft, file)
}

/** Starts children, each of which converts one photo at a time. */
function startChildren(count: number) {
  const waiting: Job[] = []
  const idle: ChildProcess[] = Array.from({ length: count }, () => fork(import.meta.filename, ['child']))
  const give = () => {
    if (idle.length === 0 || waiting.length === 0) return
    const [child, job] = [idle.pop() as ChildProcess, waiting.shift() as Job]
    child.once('message', async (thumbnail: Uint8Array) => {
      idle.push(child)
      give()
      // One after the other, because the result must not be durable before its thumbnail.
      await put(join(job.folder, '320.jpg'), Buffer.from(thumbnail))
      await syncFolder(job.folder)
      await put(join(job.folder, 'result.json'), record)
      await syncFolder(job.folder)
      job.done()
    })
    child.send(join(job.folder, 'original'))
  }
  return (job: Job) => {
    waiting.push(job)
    give()
  }
}

async function serve(folder: string, children: number): Promise<void> {
  const convert = startChildren(children)
  const accept = async (request: IncomingMessage, response: ServerResponse) => {
    const id = randomBytes(12).toString('hex')
    const photo = join(folder, id.slice(0, 2), id)
    await mkdir(photo, { recursive: true })
    await Promise.all([
      put(join(photo, 'original'), request),
      put(join(photo, 'photo.json'), record),
      syncFolder(join(photo, '..')), // it contains the entry of the photo's folder
    ])
    await syncFolder(photo)
    const ready = new Promise<void>(done => convert({ folder: photo, done }))
    if (request.headers.prefer) await ready
    response.writeHead(request.headers.prefer ? 201 : 202, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ id, state: 'queued', links: { self: `/photos/${id}` } }))
  }
  /** Sends the contents of the files that Tintype reads for the same answer. Each read is one task of Node's threads. */
  const show = async (request: IncomingMessage, response: ServerResponse) => {
    const [, , id = '', what] = request.url?.split('/') ?? []
    const photo = join(folder, id)
    const records = await Promise.all(['photo.json', 'result.json'].map(file => readFile(join(photo, file))))
    const [about, result] = records.map(bytes => JSON.parse(bytes.toString()))
    const etag = `"${id}"`
    if (what !== 'thumbnail') {
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ ...about, ...result }))
    } else if (request.headers['if-none-match'] === etag) response.writeHead(304, { ETag: etag }).end()
    else {
      const thumbnail = await readFile(join(photo, '320.jpg'))
      response.writeHead(200, {
        ETag: etag,
        'Content-Type': 'image/jpeg',
        'Content-Length': thumbnail.length,
      })
      response.end(thumbnail)
    }
  }
  const server = createServer((request, response) => {
    const answer = request.method === 'POST' ? accept : show
    answer(request, response).catch(error => {
      if (response.headersSent) response.destroy(error)
      else response.writeHead(500).end(String(error))
    })
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
}

async function child(): Promise<void> {
  const { default: sharp } = await import('sharp')
  sharp.concurrency(1)
  sharp.cache(false)
  process.on('message', async (file: string) => {
    const thumbnail = await sharp(file, { failOn: 'truncated' })
      .autoOrient()
      .resize(320, 320, { fit: 'inside', withoutEnlargement: true })
      .toColourspace('srgb')
      .flatten({ background: '#ffffff' })
      .jpeg()
      .toBuffer()
    process.send?.(thumbnail)
  })
}

const [, , role = '', folder = '', children = availableParallelism()] = process.argv
if (role === 'child') await child()
if (role === 'serve') {
  process.on('disconnect', () => process.exit())
  await serve(folder, Number(children))
}
