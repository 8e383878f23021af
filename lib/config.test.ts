import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { readConfig } from './config.ts'
import { fromHere } from './loopback.ts'
import { queueFolders } from './queue/queue-url.ts'
import { secret } from './secrets.ts'
import { variables } from './variables.ts'

type Name = keyof typeof variables
const read = (given: Partial<Record<Name, string>>) => readConfig(given, variables)

test.each<[Name, string]>([
  ['WEB_PORT', ' 8080'],
  ['WEB_PORT', '1e3'],
  ['WEB_PORT', '-1'],
  ['PROMISE_SECONDS', '60s'],
  ['PROMISE_SECONDS', 'Infinity'],
  ['KEEP_LOGS_DAYS', '0x10'],
  ['DATA_DIR', ' '],
  ['DATA_DIR', '/data\n'],
  ['DATA_DIR', '~/photos'],
  ['DATA_DIR', '$HOME/photos'],
  ['HOST', '0.0.0.0:8080'],
  ['HOST', 'localhost:8080'],
  ['HOST', ' '],
  ['HOST', '[::1]'],
  ['HOST', 'fe80::1%eth0'],
  ['HOST', 'http://photos.example'],
  ['LOGS_URL', 'localhost:8083'],
  ['LOGS_URL', 'https://logs.example/?token=1'],
  ['LOGS_URL', 'https://user:password@logs.example'],
  ['SLO_URL', 'https://token@slo.example'],
  ['SLO_URL', 'https://slo.example/#day'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'https://collector.example/otlp?key=1'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'collector:4318/v1/traces'],
  ['INSTANCE', 'x'.repeat(181)],
  ['PROMETHEUS_URL', 'http://[bad'],
  ['PROBE_TOKEN', ' '],
  ['INGEST_TOKEN', 'two words'],
  ['INGEST_TOKEN', 'schlüssel'],
  ['QUEUE_URL', 'sqlite:'],
  ['QUEUE_URL', 'sqlite://queue.sqlite'],
  ['STORAGE_URL', 'file://photos'],
  ['QUEUE_URL', 'postgres://user:pa#ss@host/db'],
  ['STORAGE_URL', 'file: '],
])('%s="%s" is reported', (name, value) => {
  expect(() => read({ [name]: value })).toThrow(`${name}="`)
})

test('an error shows the carriage return of a file that was edited on Windows', () => {
  expect(() => read({ WEB_PORT: '8080\r' })).toThrow(String.raw`WEB_PORT="8080\r" must be a port number`)
})

test('a PostgreSQL on a Unix socket has an empty host, also behind a user', () => {
  for (const given of ['postgres://user:pass@/db?host=/run', 'postgres:///db?host=/run'])
    expect(read({ QUEUE_URL: given }).QUEUE_URL).toBe(given)
})

test('only a queue in a file needs room on a disk of this machine', () => {
  expect(queueFolders('sqlite:/mnt/fast/queue.sqlite')).toEqual(['/mnt/fast'])
  expect(queueFolders('postgres://user:pass@host/db')).toEqual([])
})

test('a PostgreSQL password whose signs are not encoded is refused, not shown as a host or database', () => {
  for (const password of ['12/hush', '12#hush', '12?hush', 'a/hush', 'a%2Fb#hush']) {
    const QUEUE_URL = `postgres://somebody:${password}@127.0.0.1:1/queue`
    expect(() => read({ QUEUE_URL })).toThrow('QUEUE_URL="postgres://…@127.0.0.1:1/queue" must be')
    expect(() => read({ QUEUE_URL })).not.toThrow('hush')
  }
  const encoded = 'postgres://somebody:12%2F%23%3F%40@127.0.0.1:1/queue?application_name=a@b'
  expect(read({ QUEUE_URL: encoded }).QUEUE_URL).toBe(encoded)
})

test('a port variable with the address of a Kubernetes Service is explained: the user did not set it', () => {
  expect(() => read({ WEB_PORT: 'tcp://10.96.0.7:80' })).toThrow(
    'WEB_PORT="tcp://10.96.0.7:80" must not come from a Kubernetes Service (enableServiceLinks: false)',
  )
})

test('options that only other clients of PostgreSQL have are refused: it was reached without TLS, and in another schema', () => {
  for (const option of [
    'schema=photos',
    'currentSchema=photos',
    'sslMode=require',
    'ssl_mode=require',
    'tls=true',
  ])
    expect(() => read({ QUEUE_URL: `postgres://somebody@host/queue?application_name=a&${option}` })).toThrow(
      'search_path=SCHEMA (default tintype), sslmode and other options',
    )
  const QUEUE_URL =
    'postgres://somebody@host/queue?sslmode=require&channel_binding=require&connect_timeout=10'
  expect(read({ QUEUE_URL }).QUEUE_URL).toBe(QUEUE_URL)
})

test('what a shell or a template would have removed from a value is reported: everybody would know that secret', () => {
  const quoted = ['"/srv/photos"', "'/srv/photos'", '"/srv/photos"\r']
  for (const DATA_DIR of quoted) expect(() => read({ DATA_DIR })).toThrow('quotation marks')
  for (const SESSION_SECRET of [`\${SESSION_SECRET}`, '$(SESSION_SECRET)', `\${SESSION_SECRET:-}`])
    expect(() => read({ SESSION_SECRET })).toThrow('SESSION_SECRET="…" must have its placeholder filled in')
  for (const DATA_DIR of ['/data # the volume', '/data\t# the volume', '# the volume'])
    expect(() => read({ DATA_DIR })).toThrow('have no comment behind it')
  expect(read({ SESSION_SECRET: 'pa$$word"' }).SESSION_SECRET).toBe('pa$$word"')
  expect(read({ DATA_DIR: '/Volumes/Disk #1/data' }).DATA_DIR).toBe('/Volumes/Disk #1/data')
})

test('a line end behind the URL of storage or queue is no part of a file’s name', () => {
  const { STORAGE_URL, QUEUE_URL } = read({
    STORAGE_URL: 'file:/srv/photos\r\n',
    QUEUE_URL: 'sqlite:/srv/queue ',
  })
  expect([STORAGE_URL, QUEUE_URL]).toEqual(['file:/srv/photos', 'sqlite:/srv/queue'])
})

test('a secret’s file ends in a newline, which no request could carry', () => {
  const names = ['PROBE_TOKEN', 'INGEST_TOKEN', 'SESSION_SECRET'] as const
  const config = read(Object.fromEntries(names.map(name => [name, 'secret\n'])))
  expect(names.map(name => config[name])).toEqual(['secret', 'secret', 'secret'])
})

test('a path that only a shell would change is refused: from a file of variables "~" and quotes would be names', () => {
  const { DATA_DIR, QUEUE_URL, STORAGE_URL } = variables
  for (const given of ['~/tintype', '~', '"/srv/tintype"', "'data'"])
    expect([
      DATA_DIR.parse(given),
      STORAGE_URL.parse(`file:${given}`),
      QUEUE_URL.parse(`sqlite:${given}`),
    ]).toEqual([undefined, undefined, undefined])
  for (const given of ['/srv/my photos', '///srv/photos', './~', '~backup', '/srv/it"s'])
    expect([DATA_DIR.parse(given), STORAGE_URL.parse(`file:${given}`)]).toEqual([given, `file:${given}`])
})

test('a process that listens on every address is reached by loopback: no browser opens 0.0.0.0 on every system', () => {
  expect(fromHere('http://0.0.0.0:8080')).toBe('http://127.0.0.1:8080')
  expect(fromHere('http://[::]:8080/page')).toBe('http://[::1]:8080/page')
  expect(fromHere('http://photos.example:8080')).toBe('http://photos.example:8080')
})

test('a level may be written in capitals, as other programs take it', () => {
  expect(read({ LOG_LEVEL: 'INFO' }).LOG_LEVEL).toBe('info')
})

test('an item that a list repeats counts once: the same thumbnail would be made and stored twice', () => {
  const sides = (given: string) => read({ THUMBNAILS: given }).THUMBNAILS.map(({ side }) => side)
  expect(sides('320.jpg, 100.jpg,320.jpg')).toEqual([320, 100])
  for (const given of ['0320.jpg', '320.jpg,320.jpg,x', '8193.jpg', '4097.avif', '0.jpg', '320.jpg,'])
    expect(() => sides(given), given).toThrow('THUMBNAILS="')
})

test('no photo is accepted that is larger than Node reads at once', () => {
  expect(read({ MAX_UPLOAD_BYTES: '2147483647' }).MAX_UPLOAD_BYTES).toBe(2 ** 31 - 1)
  expect(() => read({ MAX_UPLOAD_BYTES: '3000000000' })).toThrow('MAX_UPLOAD_BYTES="3000000000"')
})

test('headers are read, and no error shows a secret', () => {
  const { PROMETHEUS_HEADERS } = read({
    PROMETHEUS_HEADERS: 'Authorization=Bearer a=b==, X-Scope-OrgID=one|two\n',
  })
  expect(PROMETHEUS_HEADERS).toEqual({ Authorization: 'Bearer a=b==', 'X-Scope-OrgID': 'one|two' })
  const names = [
    'PROMETHEUS_HEADERS',
    'PROBE_TOKEN',
    'INGEST_TOKEN',
    'SESSION_SECRET',
    'ALERT_WEBHOOK_URL', // at a chat its path is a secret
    'HEARTBEAT_URL',
  ] as const
  for (const name of names) {
    expect(() => read({ [name]: 'my hidden text' })).toThrow(`${name}="…" must be`)
    expect(() => read({ [name]: 'my hidden text' })).not.toThrow('hidden')
  }
})

test('an address keeps a proxy’s prefix, with and without its slash', () => {
  for (const given of ['https://example.org/a/b', 'https://example.org/a/b/']) {
    const { PROBE_URL, SLO_URL } = read({ PROBE_URL: given, SLO_URL: given })
    const found = [PROBE_URL, SLO_URL].map(each => new URL('c', each ?? undefined).href)
    expect(found).toEqual(Array(2).fill('https://example.org/a/b/c'))
  }
})

test('a secret’s file without a secret, or with one that no header takes, ends the start: no entry of the log was sent', async () => {
  const folder = await temporaryFolder()
  mkdirSync(join(folder, 'secrets'))
  for (const text of ['\n', 'old\nnew\n', 'schlüssel', Buffer.from('key', 'utf16le')]) {
    writeFileSync(join(folder, 'secrets', 'probe_token'), text)
    expect(() => secret('PROBE_TOKEN', '', folder)).toThrow('probe_token must have visible ASCII')
  }
  writeFileSync(join(folder, 'secrets', 'session_secret'), 'two\nlines\n')
  expect(secret('SESSION_SECRET', '', folder)).toBe('two\nlines')
})

test('a folder in place of a secret’s file, as Docker makes where there is none to mount, is named', async () => {
  const file = join(await temporaryFolder(), 'secrets', 'probe_token')
  mkdirSync(file, { recursive: true })
  expect(() => secret('PROBE_TOKEN', '', dirname(dirname(file)))).toThrow(`${file} is a folder, not a file`)
})

test('processes of one number, as those of containers are, that start together make one secret', async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    import('${import.meta.dirname}/secrets.ts').then(({ secret }) => {
      parentPort.postMessage('loaded')
      parentPort.on('message', folder => parentPort.postMessage(secret('PROBE_TOKEN', '', folder)))
    })`
  const workers = Array.from({ length: 4 }, () => new Worker(source, { eval: true }))
  onTestFinished(async () => void (await Promise.all(workers.map(worker => worker.terminate()))))
  await Promise.all(workers.map(worker => once(worker, 'message')))
  for (let times = 0; times < 50; times++) {
    const folder = await temporaryFolder()
    const made = workers.map(worker => once(worker, 'message').then(([text]) => text))
    for (const worker of workers) worker.postMessage(folder)
    expect(new Set(await Promise.all(made)).size).toBe(1)
  }
})
