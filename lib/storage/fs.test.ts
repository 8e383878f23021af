import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { PathLike } from 'node:fs'
import { fstatSync, writeFileSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { smallDisk, temporaryFolder, until } from '../../test/support.ts'
import { type Disk, realDisk } from '../disk.ts'
import { describeError, ExpectedError, explainError } from '../errors.ts'
import { storageContract } from './contract.ts'
import { openFolder } from './fs.ts'
import type { Storage } from './index.ts'
import { openPoweredDisk } from './test/power-cut.ts'

storageContract('fs', async () => {
  const folder = await fs.mkdtemp(join(tmpdir(), 'tintype-storage-'))
  return { url: `file:${folder}`, stop: () => fs.rm(folder, { recursive: true, force: true }) }
})

const body = (text: string) => Buffer.from(text)

/** Runs code in a separate process. In the code `storage` is the storage of the folder. */
async function storageScript(folder: string, code: string): Promise<string> {
  const script = join(folder, 'script.ts')
  const open = `import { openFolder } from '${join(import.meta.dirname, 'fs.ts')}'
    const storage = await openFolder('${folder}/storage')`
  await fs.writeFile(script, `${open}\n${code}`)
  return script
}

describe('the storage folder', () => {
  test('holds nothing but what is stored: deleted sessions leave no folder', async () => {
    const folder = await temporaryFolder()
    const storage = await openFolder(folder)
    await storage.put('photos/ab/owner/photo/original', body('x'))
    await storage.delete('photos/ab/owner/photo/')
    expect(await fs.readdir(folder)).toEqual(['.tmp'])
    expect(await fs.readdir(join(folder, '.tmp'))).toEqual([])
  })

  test('lists no key for what other programs leave in it', async () => {
    const folder = await temporaryFolder()
    const storage = await openFolder(folder)
    await storage.put('photos/ab/owner/photo/original', body('x'))
    for (const name of ['.DS_Store', '@eaDir/photo', 'photo (copy)/original', 'photo/.nfs01']) {
      const file = join(folder, 'photos/ab/owner', name)
      await fs.mkdir(dirname(file), { recursive: true })
      await fs.writeFile(file, 'x')
    }
    expect(await Array.fromAsync(storage.list('photos/'))).toEqual(['photos/ab/owner/photo/original'])
  })

  test('is listed and swept on behind a folder that cannot be read, which is then an error', async () => {
    const readdir = async (...given: Parameters<typeof fs.readdir>) => {
      if (String(given[0]).includes('/photos/ab'))
        throw Object.assign(new Error('EACCES'), { code: 'EACCES' })
      return fs.readdir(...given)
    }
    const storage = await openFolder(await temporaryFolder(), {}, { ...realDisk, readdir } as Disk)
    for (const key of [
      'photos/aa/one/photo/original',
      'photos/ab/two/photo/original',
      'photos/cd/three/photo/original',
    ])
      await storage.put(key, body('x'))
    const keys: string[] = []
    const walk = async () => {
      for await (const key of storage.list('photos/')) keys.push(key)
    }
    await expect(walk()).rejects.toThrow('EACCES')
    expect(keys).toEqual(['photos/aa/one/photo/original', 'photos/cd/three/photo/original'])
  })

  test('is refused where none can be made, as below /proc: the start would hang', async context => {
    if (process.platform !== 'linux') context.skip('there is no /proc here')
    await expect(openFolder('/proc/tintype')).rejects.toThrow('ENOENT')
  })

  test('is refused where a link leads to a folder that is not there, as of a disk that is not mounted', async () => {
    const link = join(await temporaryFolder(), 'photos')
    await fs.symlink('/media/tintype', link)
    const refusal = `${link} is no folder, or a link to one that is not there`
    await expect(openFolder(link)).rejects.toThrow(refusal)
    await expect(openFolder(dirname(link))).rejects.toThrow(refusal) // only the photos are on that disk
    await fs.rm(link)
    await fs.writeFile(link, '')
    await expect(openFolder(dirname(link))).rejects.toThrow(refusal)
  })

  test('names a full disk quota, of which Node knows only the number', async () => {
    const name = getSystemErrorName(-122)
    const error = Object.assign(new Error(`${name}: ${name}, write`), { code: name })
    expect(describeError(error)).toMatch(/^Error: EDQUOT: the disk quota is exceeded, write\n/)
    expect(explainError(new ExpectedError(error.message))).toBe('EDQUOT: the disk quota is exceeded, write')
  })

  test('is refused without hard links: no result of a photo could be stored', async () => {
    const link = async () => {
      throw Object.assign(new Error('ENOTSUP'), { code: 'ENOTSUP' })
    }
    const folder = await temporaryFolder()
    await expect(openFolder(folder, {}, { ...realDisk, link })).rejects.toThrow('has no hard links')
    expect(await fs.readdir(join(folder, '.tmp'))).toEqual([])
  })

  test('is refused where it cannot be written, as a folder of root or a disk that is mounted read-only', async () => {
    for (const code of ['EACCES', 'EROFS']) {
      const open = async () => {
        throw Object.assign(new Error(code), { code })
      }
      const disk = { ...realDisk, open } as unknown as Disk
      await expect(openFolder(await temporaryFolder(), {}, disk)).rejects.toMatchObject({ code })
    }
  })

  test('is refused with a folder of root, as in a backup that root put back: each upload would be refused', async () => {
    const folder = await temporaryFolder()
    for (const name of ['photos', 'backup']) await fs.mkdir(join(folder, name))
    const refusing = (name: string, code = 'EACCES'): Disk => ({
      ...realDisk,
      link: async (from, to) => {
        if (!String(to).includes(`/${name}/`)) return fs.link(from, to)
        throw Object.assign(new Error(code), { code })
      },
    })
    for (const code of ['EACCES', 'EPERM']) // of an immutable one (chattr +i)
      await expect(openFolder(folder, {}, refusing('photos', code))).rejects.toMatchObject({ code })
    await openFolder(folder, {}, refusing('backup')) // another program's, on the same disk
  })

  test('is refused with a folder on another disk: no photo could be renamed to it', async context => {
    const folder = await temporaryFolder()
    await fs.symlink(await smallDisk(context, 2 ** 20), join(folder, 'photos'))
    await expect(openFolder(folder)).rejects.toThrow(`"photos" is not on the disk of storage "${folder}"`)
    await fs.rename(join(folder, 'photos'), join(folder, '.snapshots')) // no key names it
    await openFolder(folder)
  })

  test('is refused when one of its folders is on another mount of its disk, and not for a link to a folder on its own mount', async () => {
    const [folder, elsewhere] = [await temporaryFolder(), await temporaryFolder()]
    await fs.symlink(elsewhere, join(folder, 'photos'))
    const storage = await openFolder(folder)
    await storage.put('photos/a/b', body('x'))
    await storage.delete('photos/a/')
    expect(await fs.readdir(elsewhere)).toEqual([])
    await storage.put('photos/a/b', body('y'))
    const link = async (from: PathLike, to: PathLike) => {
      if (!String(to).includes('/photos/')) return fs.link(from, to)
      throw Object.assign(new Error('EXDEV'), { code: 'EXDEV' })
    }
    await expect(openFolder(folder, {}, { ...realDisk, link })).rejects.toThrow(`"photos" is not on the disk`)
  })

  test('makes no folder behind the removal of a photo that was refused when its body was there', async () => {
    const folder = await temporaryFolder()
    let made: Promise<void> | undefined
    const mkdir = (path: string) => {
      if (!path.endsWith('/photo')) return fs.mkdir(path)
      made = new Promise(resolve => setTimeout(resolve, 50)).then(() => fs.mkdir(path))
      return made
    }
    const storage = await openFolder(folder, {}, { ...realDisk, mkdir } as Disk)
    async function* refused() {
      yield { key: 'photos/ab/owner/photo/original', body: body('x') }
      throw new Error('busy')
    }
    await expect(storage.putAll(refused())).rejects.toThrow('busy')
    await storage.delete('photos/ab/owner/photo/')
    await made
    expect(await fs.readdir(folder)).toEqual(['.tmp'])
  })

  test('stores on a network share without fsync of folders, and reports every other error of fsync', async () => {
    let code = 'EINVAL'
    const fsync = async (fd: number) => {
      if (fstatSync(fd).isDirectory()) throw Object.assign(new Error(code), { code })
    }
    const disk = { ...realDisk, fsync } as Disk
    const storage = await openFolder(await temporaryFolder(), {}, disk)
    expect(await storage.put('a', body('x'))).toEqual({ bytes: 1 })
    code = 'EIO'
    await expect(storage.put('b', body('x'))).rejects.toThrow('EIO')
  })

  test('deletes a photo that is being read, whose file NFS keeps beside it until then, and starts', async () => {
    let isRead = true
    const rm = async (path: string, options: object) => {
      if (isRead && (await fs.stat(path).catch(() => undefined))?.isDirectory())
        throw Object.assign(new Error('ENOTEMPTY'), { code: 'ENOTEMPTY' })
      return fs.rm(path, options)
    }
    const folder = await temporaryFolder()
    const disk = { ...realDisk, rm } as Disk
    const storage = await openFolder(folder, {}, disk)
    await storage.put('photos/ab/me/one/original', body('x'))
    await storage.delete('photos/ab/me/one/')
    expect(await storage.get('photos/ab/me/one/original')).toBe('not-found')
    const [left = ''] = await fs.readdir(join(folder, '.tmp'))
    await fs.rename(join(folder, '.tmp', left), join(folder, '.tmp', '1-1-1.1')) // of a process that has ended
    await openFolder(folder, {}, disk)
    isRead = false
    await openFolder(folder, {}, disk)
    expect(await fs.readdir(join(folder, '.tmp'))).toEqual([])
  })

  test('stores and deletes on when somebody removed the folder of temporary files', async () => {
    const folder = await temporaryFolder()
    const storage = await openFolder(folder)
    const removeTemporary = () => fs.rm(join(folder, '.tmp'), { recursive: true })
    await removeTemporary()
    await storage.put('photos/ab/owner/photo/original', body('x'))
    await removeTemporary()
    await storage.delete('photos/ab/owner/photo/')
    expect(await storage.read('photos/ab/owner/photo/original')).toBe('not-found')
  })

  test('ends the process when it was moved or removed, and the next start opens what is there then', async () => {
    const folder = await temporaryFolder()
    const script = await storageScript(
      folder,
      `import { rmSync } from 'node:fs'
       await storage.put('a', Buffer.from('x'))
       if (process.argv[2] === 'remove') rmSync('${folder}/storage', { recursive: true })
       await storage.put('b', Buffer.from('x')).catch(() => new Promise(() => setInterval(() => {}, 1000)))`,
    )
    const codeOf = async (...args: string[]) => {
      const child = fork(script, args, { execArgv: [], stdio: 'ignore' })
      return (await once(child, 'exit'))[0]
    }
    expect([await codeOf('remove'), await codeOf()]).toEqual([1, 0])
  })

  test('the next start removes what a killed process left and keeps what a living one writes', async () => {
    const folder = await temporaryFolder()
    const script = await storageScript(
      folder,
      `import { Readable } from 'node:stream'
       const body = new Readable({ read() {} })
       body.push(Buffer.alloc(1024 * 1024))
       void storage.put('a', body)
       setInterval(() => {}, 1000)`,
    )
    const upload = () => {
      const child = fork(script, { execArgv: [] })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    }
    const temporary = join(folder, 'storage', '.tmp')
    const halves = async () => {
      const names = await fs.readdir(temporary).catch(() => [])
      // A storage that opens checks for hard links with files that it removes at once.
      const sizeOf = (name: string) =>
        fs.stat(join(temporary, name)).then(
          ({ size }) => size,
          () => 0,
        )
      const sizes = await Promise.all(names.map(sizeOf))
      return sizes.filter(size => size > 0).length
    }
    const victim = upload()
    const survivor = upload()
    await until(async () => (await halves()) === 2)
    victim.kill('SIGKILL')
    await once(victim, 'exit')
    // Of containers that share the folder; their processes are not seen here.
    for (const name of ['1-10-boot.1.young', '1-10-boot.1.old'])
      await fs.writeFile(join(temporary, name), 'x')
    await fs.utimes(join(temporary, '1-10-boot.1.old'), 0, 0)
    await fs.writeFile(join(temporary, '1-10-boot.1'), 'of a version that wrote no host')
    await openFolder(join(folder, 'storage'))
    const left = await fs.readdir(temporary)
    expect(left).toHaveLength(2)
    expect(left).toEqual(
      expect.arrayContaining(['1-10-boot.1.young', expect.stringMatching(`^${survivor.pid}-`)]),
    )
  })

  test('a temporary file has the name of its process also in a sandbox without a boot id', async context => {
    const code = `import('${join(import.meta.dirname, '../process-name.ts')}')
      .then(({ processName }) => console.log(process.pid, processName(process.pid)))`
    const sandbox = 'mount -t tmpfs none /proc/sys/kernel/random && exec "$0" -e "$1"'
    const ran = spawnSync('unshare', ['-m', 'sh', '-c', sandbox, process.execPath, code], {
      encoding: 'utf8',
    })
    if (ran.status !== 0) context.skip(`no sandbox can be made here, root may: ${ran.stderr}`)
    const [pid, name] = ran.stdout.trim().split(' ')
    expect(name).toMatch(new RegExp(`^${pid}-\\d+-0$`))
  })

  test('without /proc a process of another user is known to run', async context => {
    if (process.getuid?.() !== 0) context.skip('only root may become another user')
    const code = `process.setuid(65534)
      import('${join(import.meta.dirname, '../process-name.ts')}')
        .then(({ isRunning }) => console.log(isRunning('1-0-0'), isRunning('4194304-0-0')))`
    const sandbox = 'mount -t tmpfs none /proc && exec "$0" -e "$1"'
    const ran = spawnSync('unshare', ['-m', 'sh', '-c', sandbox, process.execPath, code], {
      encoding: 'utf8',
    })
    if (/^unshare|^mount/.test(ran.stderr)) context.skip(`no sandbox can be made here: ${ran.stderr}`)
    expect(ran.stdout).toBe('true false\n')
  })

  test('what root stores, as by sudo, belongs to the owner of the folder, whose service must read it', async context => {
    if (process.getuid?.() !== 0) context.skip('only root may give files away')
    const folder = await temporaryFolder()
    await fs.chown(folder, 54321, 54321)
    await (await openFolder(folder)).put('a/b', body('photo'))
    for (const name of ['a', 'a/b']) expect((await fs.stat(join(folder, name))).uid).toBe(54321)
  })

  test('a full disk is an error with its cause, leaves nothing behind, and passes when there is room', async context => {
    const folder = await smallDisk(context, 1_000_000)
    const storage = await openFolder(folder)
    await storage.put('a', body('before'))
    for (const tooMuch of [Buffer.alloc(2_000_000), Readable.from(Array(20).fill(Buffer.alloc(100_000)))]) {
      await expect(storage.put('a', tooMuch)).rejects.toMatchObject({
        message: expect.stringContaining('storage could not put "a"'),
        cause: { code: 'ENOSPC' },
      })
    }
    expect(await fs.readdir(join(folder, '.tmp'))).toEqual([])
    expect((await storage.read('a')).toString()).toBe('before')
    expect(await storage.put('a', Buffer.alloc(900_000))).toEqual({ bytes: 900_000 })
  })
})

/** What was promised of each key: its acknowledged value (null: none), and what is under way and may or may not be there. */
function openLedger(storage: () => Storage) {
  const promised: Promised = new Map()
  const ordered: Pair[] = []
  const entry = (key: string) => {
    const known = promised.get(key) ?? { acked: null, maybe: new Set<string | null>() }
    promised.set(key, known)
    return known
  }
  const during = async (keys: string[], value: string | null, run: () => Promise<unknown>) => {
    for (const key of keys) entry(key).maybe.add(value)
    await run()
    for (const key of keys) {
      entry(key).acked = value
      entry(key).maybe.clear()
    }
  }
  return {
    put: (key: string, value: string, options: { ifAbsent?: boolean; beside?: boolean } = {}) =>
      during([key], value, () => storage().put(key, body(value), options)),
    putAll: (keys: Pair, value: string) => {
      ordered.push(keys)
      return during(keys, value, () => storage().putAll(keys.map(key => ({ key, body: body(value) }))))
    },
    delete: (prefix: string) =>
      during(
        [...promised.keys()].filter(key => key.startsWith(prefix)),
        null,
        () => storage().delete(prefix),
      ),
    /** The promises of this moment; given a folder, returns those that it breaks. */
    now: () => {
      const then = structuredClone(promised)
      return (folder: string) => brokenIn(folder, then, ordered)
    },
  }
}

/** Keys of files stored together: the second is never there without the first. */
type Pair = [string, string]
type Promised = Map<string, { acked: string | null; maybe: Set<string | null> }>

async function brokenIn(folder: string, promised: Promised, ordered: Pair[]): Promise<string[]> {
  const storage = await openFolder(folder)
  const bad: string[] = []
  const found = new Map<string, string | null>()
  for (const [key, { acked, maybe }] of promised) {
    const read = await storage.read(key)
    const value = read === 'not-found' ? null : read.toString()
    found.set(key, value)
    if (value !== acked && !maybe.has(value)) bad.push(`${key}: ${value} instead of ${acked}`)
  }
  for (const keys of ordered)
    if (found.get(keys[1]) !== null && found.get(keys[0]) === null) bad.push(`${keys[1]} without ${keys[0]}`)
  return bad
}

type Ledger = ReturnType<typeof openLedger>

const photo = 'photos/ab/owner/photo'

describe('a power cut', () => {
  /** Runs a scenario on a disk and returns the promises that a power cut would have broken, after any single operation. */
  async function brokenPromises(
    scenario: (ledger: Ledger, disk: Disk, root: string) => Promise<void>,
    options: { entriesAtOnce?: boolean; loseSync?: number } = {},
  ) {
    const root = await temporaryFolder()
    const cuts = await temporaryFolder()
    const broken: string[] = []
    let operations = 0
    const { loseSync = 0 } = options
    const afterEach = async () => {
      // Before it is lost nothing differs from a run with all; one broken promise is enough.
      if (loseSync > 0 && (powered.syncs() < loseSync || broken.length > 0)) return
      const after = join(cuts, `${++operations}`)
      const number = operations
      powered.cutPower(after)
      const brokenBy = ledger.now()
      for (const each of await brokenBy(join(after, 'storage'))) broken.push(`${number}: ${each}`)
    }
    const powered = openPoweredDisk(root, { ...options, afterEach })
    let storage: Storage
    const ledger = openLedger(() => storage)
    storage = await openFolder(join(root, 'storage'), {}, powered.disk)
    await scenario(ledger, powered.disk, join(root, 'storage'))
    await afterEach()
    return { broken, operations, syncs: powered.syncs() }
  }

  /** Each fsync in it is the only one that keeps some promise. */
  const oneByOne = async (ledger: Ledger) => {
    await ledger.put(`${photo}/original`, 'pixels')
    await ledger.put(`${photo}/photo.json`, 'record', { beside: true })
    await ledger.put('status.json', 'old')
    await ledger.put('status.json', 'new')
    await ledger.put('keys/one', 'first', { ifAbsent: true })
    await ledger.delete(`${photo}/`)
    await ledger.putAll([`${photo}/original`, `${photo}/photo.json`], 'together')
  }
  const allAtOnce = async (ledger: Ledger) => {
    await Promise.all(['original', 'photo.json'].map(file => ledger.put(`${photo}/${file}`, file)))
    await Promise.all([
      ledger.put(`${photo}/320.jpg`, 'thumbnail'),
      ledger.put('photos/ab/owner/other/original', 'pixels'),
      ledger.put('photos/cd/another/one/original', 'pixels'),
    ])
    await Promise.all([ledger.delete(`${photo}/`), ledger.delete('photos/ab/owner/other/')])
    await ledger.put(`photos/ab/owner/again/original`, 'pixels')
    const pairs = ['a', 'b'].map(
      (id): Pair => [`photos/ab/${id}/photo/original`, `photos/ab/${id}/photo/photo.json`],
    )
    await Promise.all(pairs.map(pair => ledger.putAll(pair, 'together')))
    await Promise.all([ledger.delete('photos/ab/a/photo/'), ledger.putAll(pairs[1] as Pair, 'again')])
  }

  for (const entriesAtOnce of [false, true]) {
    const platter = entriesAtOnce ? 'names at once but contents only by fsync' : 'only what was fsynced'
    test(`after any operation keeps every acknowledged put and delete, where the platter has ${platter}`, async () => {
      for (const scenario of [oneByOne, allAtOnce]) {
        const { broken, operations } = await brokenPromises(scenario, { entriesAtOnce })
        expect(broken).toEqual([])
        expect(operations).toBeGreaterThan(30)
      }
    })
  }

  test('breaks a promise as soon as any single fsync is left out', async () => {
    const { syncs } = await brokenPromises(oneByOne)
    for (let loseSync = 1; loseSync <= syncs; loseSync++) {
      const { broken } = await brokenPromises(oneByOne, { loseSync })
      expect(broken, `without fsync ${loseSync} of ${syncs}`).not.toEqual([])
    }
  })

  test('cannot take what "exists" was answered for, though its writer died before its fsync', async () => {
    const otherWriterDied = async (ledger: Ledger, disk: Disk, root: string) => {
      await ledger.put('keys/before', 'makes the folder')
      const dead = await disk.open(join(root, '.tmp/dead'), 'wx')
      writeFileSync(dead, 'first')
      await disk.fsync(dead)
      disk.closeSync(dead)
      await disk.link(join(root, '.tmp/dead'), join(root, 'keys/one'))
      await ledger.put('keys/one', 'first', { ifAbsent: true })
    }
    const { broken, syncs } = await brokenPromises(otherWriterDied)
    expect(broken).toEqual([])
    expect((await brokenPromises(otherWriterDied, { loseSync: syncs })).broken).not.toEqual([])
  })
})
