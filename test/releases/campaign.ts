import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inherited } from '../../tools/service.ts'
import { apply, copyCheckout } from '../faults/inject/release.ts'
import { photo } from '../images.ts'
import type { Tintype } from '../service.ts'
import type { Drill } from './drills.ts'

const root = join(import.meta.dirname, '../..')

/** Counted by k6; `others`: of all versions but the released one. */
export type Finding = {
  drill: string
  /** Exit status of the release command. */
  status: number | null
  /** What it said. */
  said: string
  failed: { own: number; others: number }
  broken: { own: number; others: number }
  kept: number
  /** k6's messages about failures. */
  failures: string[]
}

export const isRight = ({ named }: Drill, { status, said, failed, broken, kept }: Finding): boolean =>
  status === (named ? 1 : 0) &&
  (named?.test(said) ?? true) &&
  failed.others === 0 &&
  broken.others === 0 &&
  (named !== undefined || failed.own + broken.own === 0) &&
  kept > 0

export type Running = Pick<Tintype, 'dataDir' | 'address'>

/** Releases a drill's version to a running service while people use it. */
export async function runDrill(
  { name, edits }: Drill,
  { dataDir, address }: Running,
  {
    k6,
    folder,
    people = 12,
    tell,
  }: { k6: string; folder: string; people?: number; tell: (line: string) => void },
): Promise<Finding> {
  const checkout = copyCheckout(join(folder, name.replaceAll(/\W+/g, '-')))
  apply(edits, checkout)
  const load = await startPeople(k6, folder, address, people)
  const args = ['canary', '--to', checkout, '--steps', '50,100', '--step', '10', '--patience', '400']
  const command = spawn(process.execPath, [join(root, 'tools/release.ts'), ...args], {
    env: { ...inherited(), DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const hear = (chunk: Buffer) => {
    said += chunk
    tell(String(chunk).trimEnd())
  }
  command.stdout.on('data', hear)
  command.stderr.on('data', hear)
  const [status] = await once(command, 'close')
  const counts = await load.stop()
  // When all releases were rolled back, the next one is green again.
  const sides = (of: string) => {
    const count = (version: string) => counts[`${of}{version:${version}}`] ?? 0
    return { own: count('green'), others: count('blue') + count('none') }
  }
  const { own: kept, others } = sides('kept')
  return {
    drill: name,
    status,
    said,
    failed: sides('failed'),
    broken: sides('broken'),
    kept: kept + others,
    failures: load.failures(),
  }
}

/** Starts k6's people, who stop after their current photo. */
async function startPeople(k6: string, folder: string, address: string, people: number) {
  const image = join(folder, 'photo.jpg')
  writeFileSync(image, await photo(800, 600, 1))
  const summary = join(folder, 'summary.json')
  let open = true
  const control = createServer((_request, response) => response.writeHead(open ? 200 : 410).end())
  control.listen(0, '127.0.0.1')
  await once(control, 'listening')
  const environment = {
    PHOTO: image,
    ADDRESS: address,
    PEOPLE: String(people),
    SUMMARY: summary,
    CONTROL: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
  }
  const script = join(root, 'loadtest/people.ts')
  const child: ChildProcess = spawn(k6, ['run', '--quiet', '--no-usage-report', '--no-color', script], {
    env: { PATH: process.env.PATH, HOME: folder, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  const failures = () => errors.split('\n').filter(line => /(failed|broken) (blue|green|none)/.test(line))
  child.stderr?.on('data', chunk => {
    errors += chunk
  })
  const closed = once(child, 'close')
  return {
    failures,
    async stop(): Promise<Record<string, number>> {
      open = false
      await closed
      control.close()
      control.closeAllConnections()
      const { metrics } = JSON.parse(readFileSync(summary, 'utf8'))
      return Object.fromEntries(
        Object.entries(metrics as Record<string, { values: { count?: number } }>).map(
          ([name, { values }]) => [name, values.count ?? 0],
        ),
      )
    },
  }
}
