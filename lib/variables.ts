import { availableParallelism } from 'node:os'
import {
  address,
  choice,
  days,
  flag,
  integer,
  list,
  pattern,
  port,
  seconds,
  text,
  type Variable,
  variable,
} from './config.ts'
import type { Size } from './photo/record.ts'
import { queueAddress, queueUrlFormat } from './queue/queue-url.ts'
import { storageAddress, storageUrlFormat } from './storage/storage-url.ts'
import { levels } from './telemetry/levels.ts'
import { version } from './version.ts'

/** Every environment variable. Each service picks its own with `pick`. */
export const variables = {
  INSTANCE: pattern(
    '0',
    /^[a-z0-9-]+$/,
    'distinguishes several processes of one service; part of the name of its log stream',
    'lower-case letters, digits and hyphens',
  ),
  VERSION: pattern(
    version,
    /^[\w.+-]{1,64}$/,
    'version of this build in tintype_build_info, traces and jobs. npm run release sets it',
    'letters, digits, dots, plus and minus signs, underscores',
  ),
  DATA_DIR: text('./data', 'where everything durable is kept', 'a folder'),
  HOST: text('127.0.0.1', 'address that the public ports bind to', 'an IP address or host name'),
  ADMIN_HOST: text(
    '127.0.0.1',
    'address that the administration ports bind to: never a public one',
    'an IP address or host name',
  ),
  WEB_PORT: port(8080, 'the page and the photo API'),
  WEB_ADMIN_PORT: port(9081, 'metrics, health and administration of web'),
  CONVERTER_ADMIN_PORT: port(9082, 'metrics, health and administration of the converter'),
  LOGS_PORT: port(8083, 'the log server: ingest and timeline'),
  LOGS_ADMIN_PORT: port(9083, 'metrics, health and administration of logs'),
  SLO_PORT: port(8084, 'the status and SLO pages'),
  SLO_ADMIN_PORT: port(9084, 'metrics, health and administration of slo'),
  CONVERTER_SLOTS: integer(availableParallelism(), 1, 256, 'conversions at once; default: one a core'),
  CONVERT_SECONDS: seconds(
    15,
    0.1,
    600,
    'how long one attempt at a photo may take; three attempts shall fit into the promise',
  ),
  CHILD_MEMORY_BYTES: integer(
    2 ** 30,
    64 * 2 ** 20,
    2 ** 40,
    'memory of a converter’s child above which it is killed; the pixel limits by format are made for the default',
  ),
  THUMBNAILS: list<Size>(
    [{ side: 320, format: 'jpg' }],
    'thumbnails made of each photo; the first is the default one',
    'up to 8 of SIDE.jpg, SIDE.png, SIDE.webp or SIDE.avif, separated by commas, SIDE from 1 to 8192 pixels',
    item => {
      const [, side, format] = /^(\d{1,5})\.(jpg|png|webp|avif)$/.exec(item) ?? []
      const isSide = Number(side) > 0 && Number(side) <= 8192
      return isSide ? { side: Number(side), format: format as Size['format'] } : undefined
    },
    8,
  ),
  MAX_UPLOAD_BYTES: integer(52_428_800, 1024, 2 ** 40, 'largest photo accepted'),
  MAX_PIXELS: integer(
    268_402_689,
    1,
    2 ** 31,
    'largest photo in pixels; formats that decode whole have lower caps',
  ),
  UPLOADS_PER_MINUTE: integer(
    6_000,
    1,
    10_000_000,
    'uploads of one session, or of one address without a session; an address may have three times as many over all its sessions',
  ),
  PROMISE_SECONDS: seconds(60, 0.1, 86_400, 'the promise: last byte received to durable thumbnail'),
  SCRAPE_SECONDS: seconds(15, 0.2, 60, 'how often metrics are read'),
  SCRAPE_TARGETS: list<{ job: string; instance: string; url: URL }>(
    [],
    'metrics endpoints to record; default: those of the services on this machine',
    'a list of JOB=URL or JOB.INSTANCE=URL, separated by commas',
    item => {
      const [, job, instance, address = ''] =
        /^([a-z0-9_-]+)(?:\.([a-z0-9-]+))?=(https?:.+)$/.exec(item) ?? []
      const url = URL.parse(address)
      return job && url ? { job, instance: instance ?? url.host, url } : undefined
    },
  ),
  TARGETS_FILE: text(
    '',
    'a file that names the metrics endpoints, read before each scrape; the launcher writes it. SCRAPE_TARGETS goes before it',
    'a file in Prometheus’ file_sd format, JSON, with the labels job and instance',
  ),
  PROBE_URL: address('address that the probe uses; default: web on this machine'),
  ALERT_WEBHOOK_URL: address(
    'where slo sends alerts, in Alertmanager’s webhook format; default: only the log. Where Prometheus has an Alertmanager, only alerts about the monitoring itself',
  ),
  HEARTBEAT_URL: address(
    'pinged after each evaluation that could read measurements; point it at a dead-man’s switch outside, which pages when the pings stop',
  ),
  PROBE_TOKEN: text('', 'the probe’s secret; made at the first start when unset'),
  INGEST_TOKEN: text('', 'the log shippers’ secret; made at the first start when unset'),
  SESSION_SECRET: text('', 'signs session cookies; made at the first start when unset'),
  QUEUE_URL: place('where the queue is; default: a SQLite file in DATA_DIR', queueUrlFormat, queueAddress),
  QUEUE_ACCEPT_LOSS: flag('accepts a PostgreSQL whose settings can lose acknowledged photos in a crash'),
  STORAGE_URL: place('where photos are; default: a folder in DATA_DIR', storageUrlFormat, storageAddress),
  PROMETHEUS_URL: pattern(
    '',
    /^https?:\/\/\S+$/,
    'Prometheus to read from instead of the embedded recorder',
    'an http(s) URL',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: text(
    '',
    'collector for traces; default: JSON lines in DATA_DIR/traces',
    'an http(s) URL',
  ),
  LOGS_URL: text('', 'the log server; default: the one on this machine', 'an http(s) URL'),
  SLO_URL: address(
    'where people reach the pages of slo, for the links in alerts and in the navigation of the pages; default: this machine',
  ),
  KEEP_PHOTOS_DAYS: days(0, 'age at which a photo is removed'),
  KEEP_KEYS_DAYS: days(1, 'age at which an Idempotency-Key is forgotten'),
  KEEP_LOGS_DAYS: days(30, 'age at which shipped log segments and published days are removed'),
  KEEP_REVISIONS_DAYS: days(1, 'age at which a superseded revision of a published day is removed'),
  KEEP_TRACES_DAYS: days(7, 'age at which trace files in DATA_DIR are removed, since they were written to'),
  KEEP_METRICS_DAYS: days(
    35,
    'age at which minutes of the embedded recorder are removed, which budgets are computed from',
  ),
  KEEP_DEAD_LETTERS_DAYS: days(30, 'age at which a dead letter is removed from the queue'),
  LOG_LEVEL: choice('info', levels, 'least severe entries written'),
  GRACE_SECONDS: seconds(20, 0, 600, 'how long a stop waits for requests and jobs in progress'),
} as const satisfies Record<string, Variable<unknown>>

/** The variables of one process, by name. */
export function pick<N extends keyof typeof variables>(...names: N[]): Pick<typeof variables, N> {
  return Object.fromEntries(names.map(name => [name, variables[name]])) as Pick<typeof variables, N>
}

/** The URL of an adapter; empty for the default one. */
function place(meaning: string, format: string, addressOf: (url: string) => unknown): Variable<string> {
  return variable('', meaning, format, given => (addressOf(given) ? given : undefined))
}
