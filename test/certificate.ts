import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './support.ts'

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

/** A self-signed certificate of localhost for a day: its file, and what a server needs. */
export async function selfSigned(...after: Parameters<typeof temporaryFolder>) {
  const folder = await temporaryFolder(...after)
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost'
  const names = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', keyFile, '-out', file]
  execFileSync('openssl', [...request.split(' '), ...names], { stdio: 'ignore' })
  return { file, key: readFileSync(keyFile, 'utf8'), cert: readFileSync(file, 'utf8') }
}
