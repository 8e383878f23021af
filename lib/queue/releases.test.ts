import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { everyOutcome } from '../../test/outcomes.ts'
import { startPostgres } from '../../test/postgres.ts'
import { describeWithParts, temporaryFolder, until } from '../../test/support.ts'
import { job, opened } from './contract.ts'
import { openElsewhere } from './contract-process.ts'
import type { Claim, Queue } from './index.ts'

const root = join(import.meta.dirname, '../..')
/** The newest entry of CHANGELOG.md. Its lib finds its packages in ours. */
const lastRelease = /· ([0-9a-f]{40})$/m.exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))?.[1] ?? ''
const checkout = join(root, '.tmp', `release-${lastRelease.slice(0, 12)}`)
const isThere = spawnSync('git', ['-C', root, 'cat-file', '-e', lastRelease]).status === 0

type Working = {
  /** Photos that were acknowledged, and those that this worker completed. */
  acknowledged: Set<string>
  completed: string[]
  errors: string[]
  stop(): Promise<void>
}

/** Enqueues photos and completes what it claims, one after the other, and goes on after errors. */
function work(queue: Pick<Queue, 'enqueue' | 'complete'>, claim: () => Promise<Claim | 'aborted'>): Working {
  let working = true
  const state = { acknowledged: new Set<string>(), completed: [] as string[], errors: [] as string[] }
  const loop = async () => {
    while (working) {
      const next = job()
      try {
        if ((await queue.enqueue(next)) === 'queued') state.acknowledged.add(next.photo)
        const claimed = await claim()
        if (claimed === 'aborted') return
        if (typeof (await queue.complete(claimed, Date.now())) === 'object')
          state.completed.push(claimed.job.photo)
      } catch (error) {
        state.errors.push(String(error))
      }
    }
  }
  const loops = Promise.all([loop(), loop(), loop()])
  const stop = async () => {
    working = false
    await loops
  }
  onTestFinished(() => {
    working = false // also when the test fails, or its loops would never end
  })
  return { ...state, stop }
}

/** `newUrl` names an empty queue. */
function betweenReleases(name: string, newUrl: () => Promise<string>): void {
  test.runIf(isThere)(
    `${name}: the last release works on while this one adds its columns, and both take each other's photos`,
    async () => {
      const url = await newUrl()
      const old = await openElsewhere(url, {}, join(checkout, 'lib/queue/contract-process.ts'))
      onTestFinished(old.kill)
      const before = work(old.queue, () => old.queue.claim('old', 2_000))
      await until(() => before.completed.length > 50)
      const queue = await opened(url, { version: 'new' })
      const finished = new AbortController()
      const after = work(queue, () => queue.claim('new', 2_000, finished.signal))
      const completed = before.completed.length
      await until(() => before.completed.length > completed + 100 && after.completed.length > 100)
      await before.stop()
      await after.stop()
      // What failed once is claimed again when its lease is over.
      const rest = work({ enqueue: async () => 'full', complete: queue.complete }, () =>
        queue.claim('rest', 30_000, finished.signal),
      )
      await until(async () => {
        const { depth, claimed } = await queue.stats()
        return depth + claimed === 0
      })
      finished.abort()
      await rest.stop()
      const outcomes = await Array.fromAsync(everyOutcome(queue))
      expect(new Set(outcomes.map(({ photo }) => photo)).size).toBe(outcomes.length)
      const acknowledged = [...before.acknowledged, ...after.acknowledged]
      expect(outcomes.map(({ photo }) => photo)).toEqual(expect.arrayContaining(acknowledged))
      expect(after.errors).toEqual([])
      // Version 0.1.0 reads all columns: each of its connections fails once, and its call is tried again by its caller.
      expect(before.errors.length).toBeLessThanOrEqual(name === 'SQLite' ? 0 : 12)
      for (const error of before.errors) expect(error).toMatch(/cached plan must not change result type/)
    },
  )
}

describe('two releases on one queue', () => {
  beforeAll(() => {
    if (!isThere) return
    mkdirSync(checkout, { recursive: true })
    const archive = execFileSync('git', [
      '-C',
      root,
      'archive',
      '--format=tar',
      lastRelease,
      'lib',
      'package.json',
    ])
    execFileSync('tar', ['-x', '-C', checkout], { input: archive })
    return () => rmSync(checkout, { recursive: true })
  })

  betweenReleases('SQLite', async () => `sqlite:${join(await temporaryFolder(), 'queue.sqlite')}`)

  describeWithParts('on PostgreSQL', ['postgres'], ({ postgres }) => {
    betweenReleases('PostgreSQL', async () => {
      const server = await startPostgres(postgres)
      onTestFinished(server.stop)
      return server.newUrl()
    })
  })
})
