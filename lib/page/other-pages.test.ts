import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import express from 'express'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { listen } from '../http/listen.ts'
import { type OtherPages, otherPages } from './other-pages.ts'

/** What a browser that came by this host is told. */
async function pagesFor(
  host: string,
  { endpoints, sloUrl = null, own = {} }: { endpoints?: Record<string, string> } & Partial<OtherPages>,
): Promise<unknown> {
  const dataDir = await temporaryFolder()
  if (endpoints) writeFileSync(join(dataDir, 'endpoints.json'), JSON.stringify(endpoints))
  const app = express().set('trust proxy', true).get('/pages.json', otherPages({ dataDir, sloUrl, own }))
  const { url, close } = await listen(app, '127.0.0.1', 0)
  onTestFinished(() => close(0))
  return (await fetch(`${url}/pages.json`, { headers: { 'X-Forwarded-Host': host } })).json()
}

const here = { web: 'http://127.0.0.1:8080', logs: 'http://127.0.0.1:8083', slo: 'http://127.0.0.1:8084' }

test('a browser of this machine reaches every page, by the name that it came by', async () => {
  expect(await pagesFor('localhost:8080', { endpoints: here })).toEqual({
    upload: 'http://localhost:8080/',
    status: 'http://localhost:8084/status',
    objectives: 'http://localhost:8084/',
    logs: 'http://localhost:8083/',
  })
  for (const host of ['LOCALHOST:8080', 'localhost.:8080'])
    expect(Object.keys((await pagesFor(host, { endpoints: here })) as object), host).toHaveLength(4)
})

test('a browser elsewhere is not sent to loopback', async () => {
  expect(await pagesFor('photos.example', { endpoints: here })).toEqual({})
})

test('a browser elsewhere reaches what listens on every address, and SLO_URL with its prefix', async () => {
  const endpoints = { ...here, logs: 'http://0.0.0.0:8083' }
  expect(
    await pagesFor('photos.example', { endpoints, sloUrl: new URL('https://example.org/slo/') }),
  ).toEqual({
    status: 'https://example.org/slo/status',
    objectives: 'https://example.org/slo/',
    logs: 'http://photos.example:8083/',
  })
})

test('a process that runs alone knows its own pages', async () => {
  expect(await pagesFor('127.0.0.1', {})).toEqual({})
  const own = { status: 'status', objectives: '.' }
  expect(await pagesFor('slo.example', { own })).toEqual(own)
})
