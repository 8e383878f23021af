import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { listen } from '@tintype/lib/http/listen.ts'
import { timesReached } from '@tintype/lib/limits.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import express from 'express'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit, temporaryFolder } from '../../test/support.ts'
import { openAlertStore } from '../alerts/alert-store.ts'
import type { AdminPort } from '../diagnose/raise-detail.ts'
import { readDirectory } from '../directory.ts'
import { createStore, recorderFile } from '../sources/recorder/store.ts'
import { type FoundVerdict, inShort, openDiagnosis } from './diagnosis.ts'

function listening() {
  const events: string[] = []
  const errors: unknown[] = []
  const note = (event: string, payload?: Record<string, unknown>) => {
    events.push(event)
    errors.push(payload?.error)
  }
  return { events, errors, log: { warn: note, error: note } as unknown as Log }
}

/** A store of facts in memory. */
function facts() {
  const all = new Map<string, unknown>()
  return {
    get: <T>(name: string) => all.get(name) as T | undefined,
    set: (name: string, value: unknown) => void all.set(name, value),
  }
}

type Options = Parameters<typeof openDiagnosis>[0]

const diagnosisOf = (options: Pick<Options, 'log'> & Partial<Options>) =>
  openDiagnosis({
    ...{ directory: readDirectory(), dataDir: '', logsUrl: '', targets: () => [], environment: {} },
    ...{ alertStore: facts(), ...options },
  })

test('a diagnosis is made beside everything else, and is forgotten when it is no longer about now', async () => {
  const dataDir = await temporaryFolder()
  createStore(recorderFile(dataDir), []).close()
  const { log } = listening()
  const diagnosis = diagnosisOf({ dataDir, log })
  const looking = diagnosis.look()
  expect(diagnosis.found(Date.now())).toBeNull()
  await looking
  const found = diagnosis.found(Date.now()) as FoundVerdict
  expect(inShort(found, 'http://slo')).toBe(
    'Unknown: no cause can be named (there is no earlier time to compare with; nothing was measured; no stage has data). Note: http://slo/note',
  )
  expect(diagnosis.found(Date.now() + 10 * 60_000)).toBeNull()
  expect(diagnosis.last()).toBe(found)
})

test('a diagnosis that fails is logged, returns the reason to its caller, and throws nothing', async () => {
  const { events, log } = listening()
  const diagnosis = diagnosisOf({ dataDir: await temporaryFolder(), log })
  expect(await diagnosis.look()).toContain('recorder')
  expect(events).toEqual(['diagnosis.failed'])
  expect(diagnosis.found(Date.now())).toBeNull()
})

test('a diagnosis has the variables of slo, as its module of examples needs and Node for certificates', async () => {
  const own = 'data:text/javascript,process.stderr.write(process.env.TRACES_TOKEN);process.exit(3)'
  const environment = { NODE_OPTIONS: `--import ${own}`, TRACES_TOKEN: 'of-the-traces' }
  const dataDir = await temporaryFolder()
  createStore(recorderFile(dataDir), []).close()
  const { errors, log } = listening()
  await diagnosisOf({ dataDir, log, environment }).look()
  expect(String(errors)).toContain('of-the-traces')
})

test('a diagnosis asks Prometheus through the proxy that slo uses, and ends with slo while it waits', async () => {
  const proxy = createServer().listen(0, '127.0.0.1')
  const asked = once(proxy, 'request')
  await once(proxy, 'listening')
  onTestFinished(() => void proxy.close())
  const { events, log } = listening()
  const { service, ...directory } = readDirectory()
  const watched = { ...service, prometheus: 'http://prometheus.invalid' }
  const { port } = proxy.address() as AddressInfo
  const environment = { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: `http://127.0.0.1:${port}` }
  const diagnosis = diagnosisOf({ directory: { ...directory, service: watched }, log, environment })
  const looking = diagnosis.look()
  const [request] = await asked
  const closed = once(request.socket, 'close')
  diagnosis.stop()
  await Promise.all([looking, closed])
  expect(events).toEqual([])
})

test('a diagnosis that ends with the status of an answer and without one is said with its last words', async () => {
  const environment = { NODE_OPTIONS: '--import data:text/javascript,broken' }
  const dataDir = await temporaryFolder()
  const { errors, log } = listening()
  await diagnosisOf({ dataDir, log, environment }).look()
  expect(String(errors)).toContain('ReferenceError: broken is not defined')
})

test('what was found is kept for each five minutes, over a restart, and the oldest is forgotten', async () => {
  lowerLimit('verdicts', 3)
  const dataDir = await temporaryFolder()
  createStore(recorderFile(dataDir), []).close()
  const { log } = listening()
  const alertStore = facts()
  const minute = 60_000
  const now = Date.now()
  alertStore.set(
    'verdicts',
    [-30, -20, -14, -11].map(at => ({ at: now + at * minute, verdict: {}, examples: [] })),
  )
  const diagnosis = diagnosisOf({ dataDir, log, alertStore })
  await diagnosis.look()
  const again = diagnosisOf({ dataDir, log, alertStore })
  const foundAt = (at: number) => {
    const found = again.found(now + at * minute)
    return found && Math.round((found.at - now) / minute)
  }
  expect([-30, -22, -14, -11, -1].map(foundAt)).toEqual([null, -20, -14, -14, 0])
  expect(timesReached('verdicts')).toBe(1)
})

test('a verdict that lacks what this release reads, as another one may have written it, is forgotten', async () => {
  const dataDir = await temporaryFolder()
  const alertStore = openAlertStore(join(dataDir, 'alerts.json'))
  const { log } = listening()
  createStore(recorderFile(dataDir), []).close()
  await diagnosisOf({ dataDir, log, alertStore }).look()
  const lastOf = () => diagnosisOf({ log, alertStore }).last()
  const { replicas, ...verdict } = (lastOf() as FoundVerdict).verdict
  expect(replicas).toEqual([])
  alertStore.set('verdicts', [{ at: Date.now(), verdict, examples: [] }])
  expect(lastOf()).toBeNull()
  await alertStore.flush()
})

test('detail is raised in the processes that there are by then', async () => {
  const asked: string[] = []
  const { url, close } = await listen(
    express().put('/log-level', (request, response) => {
      asked.push(request.url)
      response.end()
    }),
    '127.0.0.1',
    0,
  )
  onTestFinished(() => close(0))
  const { log } = listening()
  const ports: AdminPort[] = []
  const quiet = { ...log, info: () => {} } as unknown as Log
  const diagnosis = diagnosisOf({ targets: () => ports, log: quiet })
  await expect(diagnosis.raise('store')).rejects.toThrow('0 of 0 processes')
  ports.push({ job: 'converter', url })
  expect(await diagnosis.raise('store')).toMatchObject({ stage: 'store' })
  expect(asked).toEqual(['/log-level'])
})
