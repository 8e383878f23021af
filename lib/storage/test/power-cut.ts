import { mkdirSync, writeFileSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { type Disk, realDisk } from '../../disk.ts'

/** The durable state: a file's content and a folder's entries as of their last fsync. */
type File = { durable: Buffer }
type Folder = { entries: Map<string, Node>; durable: Map<string, Node> }
type Node = File | Folder
const isFolder = (node: Node | undefined): node is Folder => node !== undefined && 'entries' in node
const newFolder = (): Folder => ({ entries: new Map(), durable: new Map() })

type PoweredDisk = {
  disk: Disk
  /** The number of fsyncs. */
  syncs(): number
  /** Writes what a power cut would leave now into a new folder, synchronously, because other calls go on. */
  cutPower(target: string): void
}

type Options = {
  /** File systems may also make names durable at once, and contents only by fsync. */
  entriesAtOnce?: boolean
  /** This fsync, counted from 1, does nothing: its effect is lost. */
  loseSync?: number
  /** Called after each change and each fsync. */
  afterEach?: () => Promise<void>
}

/**
 * The real disk with a record of what a power cut would leave: only what was fsynced. For tests only. It supports the
 * calls that the storage makes.
 */
export function openPoweredDisk(
  root: string,
  { entriesAtOnce = false, loseSync = 0, afterEach = async () => {} }: Options = {},
): PoweredDisk {
  const top = newFolder()
  let syncs = 0
  const names = (path: string) => relative(root, path).split('/').filter(Boolean)
  const at = (path: string): Node | undefined =>
    names(path).reduce<Node | undefined>(
      (node, name) => (isFolder(node) ? node.entries.get(name) : undefined),
      top,
    )
  const folderOf = (path: string): Folder => {
    const folder = at(dirname(path))
    if (!isFolder(folder)) throw new Error(`the ledger does not know ${dirname(path)}`)
    return folder
  }
  const nameOf = (path: string) => names(path).at(-1) ?? ''
  const enter = (path: string, node: Node) => {
    folderOf(path).entries.set(nameOf(path), node)
    if (entriesAtOnce) folderOf(path).durable.set(nameOf(path), node)
  }
  const leave = (path: string) => {
    folderOf(path).entries.delete(nameOf(path))
    if (entriesAtOnce) folderOf(path).durable.delete(nameOf(path))
  }
  const sync = async (path: string, node: Node) => {
    syncs++
    if (syncs === loseSync) return
    if (isFolder(node)) node.durable = new Map(node.entries)
    else node.durable = await fs.readFile(path)
  }
  /** The inode of each descriptor, whatever its name is now. */
  const opened = new Map<number, { path: string; node: Node | undefined }>()
  const noteOpened = (file: number, path: string) => {
    opened.set(file, { path, node: at(path) })
    return file
  }

  const disk: Disk = {
    ...realDisk,
    open: (async (path: string, flags: string) => {
      const file = await realDisk.open(path, flags)
      if (flags.startsWith('w')) enter(path, { durable: Buffer.alloc(0) })
      return noteOpened(file, path)
    }) as Disk['open'],
    openSync: (path, flags) => noteOpened(realDisk.openSync(path, flags), String(path)),
    mkdirSync: ((path: string) => {
      realDisk.mkdirSync(path)
      enter(path, newFolder())
    }) as Disk['mkdirSync'],
    fsyncSync(file) {
      const { path, node } = opened.get(file) ?? {}
      realDisk.fsyncSync(file)
      if (path !== undefined && node) void sync(path, node)
    },
    fsync: (async (file: number) => {
      const { path, node } = opened.get(file) ?? {}
      await realDisk.fsync(file)
      if (path === undefined || !node) return
      await sync(path, node)
      await afterEach()
    }) as Disk['fsync'],
    mkdir: (async (path: string) => {
      await fs.mkdir(path)
      enter(path, newFolder())
      await afterEach()
    }) as Disk['mkdir'],
    async rename(from, to) {
      await fs.rename(from, to)
      const node = at(String(from))
      leave(String(from))
      if (node) enter(String(to), node)
      await afterEach()
    },
    async link(from, to) {
      await fs.link(from, to)
      const node = at(String(from))
      if (node) enter(String(to), node)
      await afterEach()
    },
    async unlink(path) {
      await fs.unlink(path)
      if (at(String(path))) leave(String(path))
      await afterEach()
    },
    async rm(path, options) {
      await fs.rm(path, options)
      if (at(String(path))) leave(String(path))
      await afterEach()
    },
    async rmdir(path) {
      await fs.rmdir(path)
      leave(String(path))
      await afterEach()
    },
  }

  return { disk, syncs: () => syncs, cutPower: target => materialise(top, target) }
}

function materialise(node: Node, path: string): void {
  if (!isFolder(node)) {
    writeFileSync(path, node.durable)
    return
  }
  mkdirSync(path, { recursive: true })
  for (const [name, child] of node.durable) materialise(child, join(path, name))
}
