import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTintype, type Tintype } from '../test/service.ts'
import { describeWithParts, temporaryFolder } from '../test/support.ts'

const main = join(import.meta.dirname, 'main.ts')

type Run = { status: number; stdout: string; stderr: string }

function load(dataDir: string, ...args: string[]): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>()
  const env = { PATH: process.env.PATH, DATA_DIR: dataDir }
  execFile(process.execPath, [main, ...args], { env }, (error, stdout, stderr) =>
    resolve({ status: Number(error?.code ?? 0), stdout, stderr }),
  )
  return promise
}

describeWithParts('npm run load, with the real k6', ['k6'], () => {
  let service: Tintype
  beforeAll(async () => {
    service = await startTintype(await temporaryFolder(afterAll))
  })
  afterAll(() => service.stop())

  test('smoke: every journey begun ends with its thumbnail, and k6 writes its page', async () => {
    const { status, stdout, stderr } = await load(service.dataDir, 'smoke', '--minutes', '0.1')
    expect(stderr).toContain(service.address)
    expect(stdout).toContain('the promises held. 100.00 % of')
    expect(status).toBe(0)
    const folder = stdout.trim().split('\n').at(-1) ?? ''
    expect(readFileSync(join(folder, 'smoke.html'), 'utf8')).toContain('<html')
    expect(existsSync(join(folder, 'result.json'))).toBe(true)
    rmSync(folder, { recursive: true })
  })

  test('a run in which no photo was tried is no verdict', async () => {
    const { status, stderr } = await load(service.dataDir, 'smoke', '--minutes', '0.001')
    expect(stderr).toContain('no photo was tried')
    expect(status).toBe(2)
  })

  test('a service that refuses every photo breaks the promise', async () => {
    const { status, stdout } = await load(
      service.dataDir,
      'smoke',
      service.endpoints.webAdmin ?? '', // takes no photos
      '--minutes',
      '0.05',
      '--json',
    )
    expect(JSON.parse(stdout)).toMatchObject({
      keptRatio: 0,
      crossed: expect.arrayContaining(['promise_kept']),
    })
    expect(status).toBe(1)
  })
})

test('an address elsewhere, an unknown profile and a rate of nothing are refused before any load', async () => {
  const folder = await temporaryFolder()
  for (const args of [['smoke', 'http://192.0.2.1:8080'], ['flood'], ['smoke', '--rate', '0']]) {
    const { status, stderr } = await load(folder, ...args)
    expect(stderr).toMatch(/--i-own-this|unknown profile|must be a number|k6 is missing/)
    expect(status).toBe(2)
  }
})
