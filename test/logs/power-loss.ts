/**
 * Preloaded into a process (NODE_OPTIONS=--import): writes down in POWER_RECORD what each fsync and fdatasync made
 * durable, so that `cutPower` can take away the rest. LIE, a pattern of paths: syncs of these are not done.
 */
import fs, { appendFileSync, fstatSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

export type Durable =
  | { kind: 'file'; inode: number; bytes: number }
  | { kind: 'folder'; path: string; entries: [name: string, inode: number][] }

const record = process.env.POWER_RECORD ?? ''
const lie = process.env.LIE ? new RegExp(process.env.LIE) : undefined

/** What a sync of this descriptor that begins now makes durable; undefined when it is a lie. */
function look(fd: number): Durable | undefined {
  const path = readlinkSync(`/proc/self/fd/${fd}`)
  if (lie?.test(path)) return undefined
  const { ino, size } = fstatSync(fd)
  if (!fstatSync(fd).isDirectory()) return { kind: 'file', inode: ino, bytes: size }
  const entries = readdirSync(path).map((name): [string, number] => [name, statSync(`${path}/${name}`).ino])
  return { kind: 'folder', path, entries }
}
const write = (durable: Durable | undefined) => {
  if (durable) appendFileSync(record, `${JSON.stringify(durable)}\n`)
}

for (const name of ['fsyncSync', 'fdatasyncSync'] as const) {
  const sync = fs[name]
  fs[name] = fd => {
    const durable = look(fd)
    sync(fd)
    write(durable)
  }
}
for (const name of ['fsync', 'fdatasync'] as const) {
  const sync = fs[name]
  const patched = (fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
    const durable = look(fd)
    sync(fd, error => {
      if (!error) write(durable)
      done(error)
    })
  }
  fs[name] = patched as typeof sync
}
const handle = await open(process.execPath)
const methods = Object.getPrototypeOf(handle)
await handle.close()
for (const name of ['sync', 'datasync'] as const) {
  const sync = methods[name]
  methods[name] = async function (this: { fd: number }) {
    const durable = look(this.fd)
    await sync.call(this)
    write(durable)
  }
}
syncBuiltinESMExports()
