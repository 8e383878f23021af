import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { sameSignalMs } from '@tintype/lib/terminal.ts'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Person, type Photo, person } from '../test/client.ts'
import { quadrantImage } from '../test/images.ts'
import { childrenOf, processes } from '../test/processes.ts'
import { startTintype, type Tintype } from '../test/service.ts'
import {
  type Ended,
  mountSmallDisk,
  removeSmallDisk,
  runScript,
  temporaryFolder,
  until,
} from '../test/support.ts'
import { anyPorts, inherited } from './service.ts'

/** What a launcher that cannot start says. */
const refusal = async (environment: Record<string, string>): Promise<Ended> =>
  runScript('tools/launch.ts', [], { DATA_DIR: await temporaryFolder(), ...environment })

describe('npm start refuses', () => {
  test('bad variables, all of them at once, with what they may be, and names misspelt ones', async () => {
    const misspelt = { KEEP_PHOTO_DAYS: '30', LOGLEVEL: 'debug', LOG_LEVEL: '' }
    const bad = { WEB_PORT: 'eighty', THUMBNAILS: 'big', SCRAPE_SECONDS: '-1' }
    const { code, err } = await refusal({ ...misspelt, ...bad })
    expect(code).toBe(2)
    expect(err).toContain('KEEP_PHOTO_DAYS has no effect: the variable’s name is KEEP_PHOTOS_DAYS')
    expect(err).toContain('LOGLEVEL has no effect: the variable’s name is LOG_LEVEL')
    expect(err).toMatch(/WEB_PORT="eighty" must be a port number/)
    expect(err).toMatch(/THUMBNAILS="big" must be/)
    expect(err).toMatch(/SCRAPE_SECONDS="-1" must be/)
  })

  test('a port that another program holds, by its variable', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await until(() => server.listening)
    const { port } = server.address() as { port: number }
    const { code, err } = await refusal({ WEB_PORT: String(port), LOGS_PORT: '0', SLO_PORT: '0' })
    server.close()
    expect(code).toBe(1)
    expect(err).toContain(`WEB_PORT=${port} cannot be used: another program has it on 127.0.0.1`)
  })

  test('no port that the services of a killed launcher will give back: a supervisor starts it again at once', async () => {
    const folder = await temporaryFolder()
    const server = createServer().listen(0, '127.0.0.1')
    await until(() => server.listening)
    const { port } = server.address() as { port: number }
    const { pid } = spawnSync('true')
    await writeFile(join(folder, 'launcher.json'), JSON.stringify({ pid }))
    await mkdir(join(folder, 'secrets', 'ingest_token'), { recursive: true })
    const env = { ...inherited(), DATA_DIR: folder, ...anyPorts, WEB_PORT: String(port) }
    const child = spawn(process.execPath, ['tools/launch.ts'], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    onTestFinished(() => {
      child.kill('SIGKILL')
      server.close()
    })
    let said = ''
    child.stderr.on('data', chunk => {
      said += chunk
      if (said.includes('a launcher that was killed')) server.close()
    })
    await once(child, 'close')
    expect(said).toMatch(/^launcher: waits .*\ncannot start: .* is a folder/)
  })

  test('a queue that is no database, in a sentence', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'queue', 'queue.sqlite'), { recursive: true })
    const { code, err } = await refusal({ DATA_DIR: folder, ...anyPorts })
    expect(code).toBe(1)
    expect(err).toMatch(/^EISDIR: .*queue.sqlite.$/m)
    expect(err).not.toMatch(/^ {4}at /m)
  })

  test('a secret that cannot be read, and leaves nothing in the folder of temporary files', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'secrets', 'ingest_token'), { recursive: true })
    const { code, err } = await refusal({ DATA_DIR: folder, TMPDIR: folder, ...anyPorts })
    expect(code).toBe(1)
    expect(err).toMatch(/^cannot start: .* is a folder, not a file/)
    expect(readdirSync(folder), 'each start left a folder for sockets').toEqual(['secrets'])
  })

  test('a folder in which it cannot write its addresses, and stops what it started', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'endpoints.json.tmp'))
    const { code, err } = await refusal({ DATA_DIR: folder, ...anyPorts })
    expect(err).toMatch(/^launcher: .*endpoints\.json\.tmp/m)
    expect(code).toBe(1)
  })

  test('one port for two', async () => {
    const { code, err } = await refusal({ WEB_PORT: '9083' })
    expect(code).toBe(1)
    expect(err).toContain('LOGS_ADMIN_PORT=9083 cannot be used: WEB_PORT has the same port')
  })

  test('an address of another machine', async () => {
    const { code, err } = await refusal({ HOST: '192.0.2.1', ...anyPorts, WEB_PORT: '8080' })
    expect(code).toBe(1)
    expect(err).toContain('WEB_PORT=8080 cannot be used: 192.0.2.1 is not an address of this machine')
  })
})

describe('npm start', () => {
  const diskBytes = 64 * 2 ** 20
  let folder: string
  let noDisk: string | undefined
  let tintype: Tintype
  let someone: Person
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tintype-'))
    noDisk = mountSmallDisk(folder, diskBytes)
    // The path of a socket below it would be too long.
    const TMPDIR = join(folder, 'temporary'.repeat(12))
    await mkdir(TMPDIR)
    await mkdir(join(folder, 'killed'))
    const socket = join(folder, 'killed', 'launcher.sock')
    await writeFile(join(folder, 'launcher.json'), JSON.stringify({ socket, ino: statSync(folder).ino }))
    tintype = await startTintype(folder, { SCRAPE_SECONDS: '0.2', TMPDIR, pm_id: '0' })
    someone = person(tintype.address)
    const image = await quadrantImage({ width: 64, height: 48, format: 'jpeg' })
    expect((await someone.upload(image, { Prefer: 'wait=60' })).status).toBe(201)
  })
  afterAll(async () => {
    await tintype.stop('SIGKILL')
    await removeSmallDisk(folder)
  })
  /** What the launcher started, by the folder in its command or by its parent. */
  const ofFolder = () =>
    processes().filter(({ pid, parent }) => pid === tintype.pid || parent === tintype.pid || known.has(pid))
  const known = new Set<number>()
  /** A start takes a second on an idle machine, and many on a busy one. */
  const startMs = 150_000
  const remember = () => {
    for (const { pid } of ofFolder()) known.add(pid)
  }

  test('removes the sockets of a launcher that was killed', () => {
    expect(existsSync(join(folder, 'killed'))).toBe(false)
  })

  test('has one launcher: another one on its DATA_DIR refuses, and takes nothing of it away', async () => {
    const files = () =>
      ['endpoints.json', 'launcher.json', 'targets.json'].map(name =>
        readFileSync(join(folder, name), 'utf8'),
      )
    const before = files()
    const { code, err } = await refusal({ DATA_DIR: folder, ...anyPorts })
    expect(err).toMatch(/another log server owns/)
    expect(code).toBe(1)
    expect(files()).toEqual(before)
  })

  test('has one slo: another one on its DATA_DIR refuses in a sentence', async () => {
    const env = { DATA_DIR: folder, SLO_PORT: '0', SLO_ADMIN_PORT: '0' }
    const { code, err } = await runScript('slo/main.ts', ['serve'], env)
    expect(err).toMatch(/^another slo owns .*: stop it first, or give this one a DATA_DIR of its own\n$/)
    expect(code).toBe(2)
    expect(tintype.process('slo')).toBeDefined()
  })

  test('starts a killed service again, on the port it had', async () => {
    const killed = tintype.process('web')?.pid as number
    // As rm -rf DATA_DIR/* does: a release would say that nothing runs.
    rmSync(join(folder, 'launcher.json'))
    process.kill(killed, 'SIGKILL')
    await until(
      () =>
        fetch(tintype.address).then(
          () => tintype.process('web')?.pid !== killed,
          () => false,
        ),
      { timeoutMs: startMs, what: 'web at its old address' },
    )
    await until(() => /process\.restarted.*"process":"web"/.test(tintype.stderr()))
    expect(existsSync(join(folder, 'launcher.json'))).toBe(true)
    expect(tintype.stderr()).toMatch(/process\.ended.*"process":"web","how":"SIGKILL","restartSeconds":0\.2/)
  })

  test("stops all in order at a terminal's Ctrl-C, which every process gets, and takes its addresses back", async () => {
    remember()
    expect(existsSync(join(folder, 'endpoints.json'))).toBe(true)
    const ends = () => tintype.stderr().match(/^.* process\.ended .*$/gm)
    const said = ends()
    const saidSoFar = tintype.stderr().length
    const children = childrenOf(tintype.process('converter')?.pid as number)
    expect(children.length).toBeGreaterThan(0)
    const environment = readFileSync(`/proc/${tintype.process('web')?.pid}/environ`, 'utf8')
    expect(environment, 'pm2 would seem to stop each service, and not the launcher').not.toContain('pm_id')
    const all = [...ofFolder(), ...children]
    // Cannot be removed then, as on a disk that became read-only. Only root may do it.
    const held = join(folder, 'launcher.json')
    spawnSync('mount', ['--bind', held, held])
    onTestFinished(() => void spawnSync('umount', [held]))
    const stopped = tintype.stop('SIGINT')
    // The launcher gets it twice, at once: npm passes it on. A late one would end all at once.
    for (const { pid } of all) process.kill(pid, 'SIGINT')
    expect(await stopped).toBe(0)
    expect(ends()).toEqual(said) // no process ended before its turn
    // On a busy machine a scrape of before may have no answer in time.
    expect(tintype.stderr().slice(saidSoFar)).not.toMatch(/scrape\.failed.*(ECONN|hang up)/)
    expect(ofFolder()).toEqual([])
    expect(existsSync(join(folder, 'endpoints.json'))).toBe(false)
  })

  test('starts again on a disk that became full, and a photo can be seen and deleted; starts nothing while it is not mounted; killed, it takes its services with it', async context => {
    context.skip(noDisk !== undefined, noDisk)
    const reserve = readFileSync(join(folder, 'reserve'))
    expect(
      deflateRawSync(reserve, { level: 1 }).length,
      'a disk that compresses holds nothing for zeros',
    ).toBeGreaterThan(reserve.length / 2)
    const filler = join(folder, 'filler')
    await writeFile(filler, Buffer.alloc(diskBytes)).catch(() => {})
    tintype = await startTintype(folder)
    const after = person(tintype.address, someone.cookie)
    const { photos } = (await (await after.request('/photos')).json()) as { photos: Photo[] }
    const links = photos[0]?.links
    expect((await after.request(links?.thumbnail ?? '')).status).toBe(200)
    expect((await after.request(links?.self ?? '', { method: 'DELETE' })).status).toBe(204)
    const services = childrenOf(tintype.pid).map(({ pid }) => pid)
    expect(services).toHaveLength(4)
    mountSmallDisk(folder, diskBytes) // what is below another disk seems to be gone, as below an empty mount point
    process.kill(tintype.process('web')?.pid as number, 'SIGKILL')
    await until(() => /process\.ended.*"web".* is on another disk than at the start/.test(tintype.stderr()))
    expect(readdirSync(folder), 'new photos would be hidden when the disk is back').not.toContain('queue')
    spawnSync('umount', ['-l', folder])
    await tintype.stop('SIGKILL')
    expect(processes().filter(({ pid }) => services.includes(pid))).toEqual([])
    await rm(filler)
  })

  test('begins to stop when its command has ended, and ends everything at once at a later signal, also work that is under way', async () => {
    const graceSeconds = 90
    tintype = await startTintype(folder, { GRACE_SECONDS: `${graceSeconds}` })
    remember()
    const { socket } = JSON.parse(readFileSync(join(folder, 'launcher.json'), 'utf8'))
    expect(existsSync(socket)).toBe(true)
    const headers = { expect: '100-continue' }
    const upload = request(`${tintype.address}/photos`, { method: 'POST', headers }).on('error', () => {})
    upload.flushHeaders()
    await once(upload, 'continue') // under way: the stop waits for it
    tintype.leave() // as kill -9 of npm run faults, or the end of its terminal, which the launcher outlives
    await until(() => !existsSync(join(folder, 'endpoints.json')), { what: 'the begin of the stop' })
    const begun = Date.now()
    await until(() => Date.now() - begun > sameSignalMs, { what: 'a time at which it is another signal' })
    const second = Date.now()
    expect(await tintype.stop('SIGINT')).toBe(1)
    expect(Date.now() - second).toBeLessThan(graceSeconds * 500)
    expect(existsSync(dirname(socket))).toBe(false)
    upload.destroy()
  })
})
