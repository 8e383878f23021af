import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, linkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { token } from './config.ts'
import { giveToOwner, ignore, makeFolder, readText } from './disk.ts'
import { ExpectedError } from './errors.ts'

/**
 * A secret from the environment, or else from DATA_DIR/secrets, where the first start creates it. Several processes may
 * call this at once: the first to link its file wins, and all read that file.
 */
export function secret(name: string, given: string, dataDir: string): string {
  if (given) return given
  const folder = join(dataDir, 'secrets')
  const file = join(folder, name.toLowerCase())
  // Looks before it writes, so that a later start works on a full disk.
  if (!existsSync(file)) {
    makeFolder(folder, { mode: 0o700 })
    // Not named by the pid: containers that share DATA_DIR may all have pid 1.
    const draft = `${file}.${randomUUID()}.tmp`
    try {
      writeFileSync(draft, randomBytes(32).toString('hex'), { mode: 0o600, flush: true })
      giveToOwner(draft)
      linkSync(draft, file)
    } catch (error) {
      ignore('EEXIST')(error as Error)
    } finally {
      rmSync(draft, { force: true })
    }
  }
  const text = readText(file).trim()
  // Everybody would know an empty secret, and no header takes two lines or other characters, as of an editor's encoding.
  // The session's secret is in no header: it may have two lines, as `openssl rand -base64 64` makes them.
  if (!text || (name !== 'SESSION_SECRET' && !token.parse(text)))
    throw new ExpectedError(`${file} must have ${token.format}: correct it, or remove it for a new secret`)
  return text
}
