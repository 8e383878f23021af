import { availableParallelism } from 'node:os'
import {
  address,
  addressText,
  base,
  choice,
  days,
  flag,
  headers,
  integer,
  list,
  pattern,
  port,
  seconds,
  text,
  token,
  type Variable,
  variable,
} from './config.ts'
import type { Size } from './photo/record.ts'
import { queueAddress, queueUrlFormat } from './queue/queue-url.ts'
import { storageAddress, storageUrlFormat } from './storage/storage-url.ts'
import { levels } from './telemetry/levels.ts'
import meanings from './variables.json' with { type: 'json' }
import { version } from './version.ts'

const host = (fallback: string) => pattern(fallback, /^[\w.:%-]+$/, 'an IP address or host name')

/** The URL of an adapter; empty for the default one. */
const place = (format: string, addressOf: (url: string) => unknown) =>
  variable('', format, given => (addressOf(given) ? given : undefined))

const table = {
  INSTANCE: pattern('0', /^[a-z0-9-]+$/, 'lower-case letters, digits and hyphens'),
  VERSION: pattern(version, /^[\w.+-]{1,64}$/, 'letters, digits, dots, plus and minus signs, underscores'),
  DATA_DIR: text('./data', 'a folder'),
  HOST: host('127.0.0.1'),
  ADMIN_HOST: host('127.0.0.1'),
  WEB_PORT: port(8080),
  WEB_ADMIN_PORT: port(9081),
  CONVERTER_ADMIN_PORT: port(9082),
  LOGS_PORT: port(8083),
  LOGS_ADMIN_PORT: port(9083),
  SLO_PORT: port(8084),
  SLO_ADMIN_PORT: port(9084),
  CONVERTER_SLOTS: integer(availableParallelism(), 1, 256),
  CONVERT_SECONDS: seconds(15, 0.1, 600),
  CHILD_MEMORY_BYTES: integer(2 ** 30, 64 * 2 ** 20, 2 ** 40),
  THUMBNAILS: list<Size>(
    [{ side: 320, format: 'jpg' }],
    'up to 8 of SIDE.jpg, SIDE.png, SIDE.webp or SIDE.avif, separated by commas, SIDE from 1 to 8192 pixels',
    item => {
      const [, side, format] = /^(\d{1,5})\.(jpg|png|webp|avif)$/.exec(item) ?? []
      const isSide = Number(side) > 0 && Number(side) <= 8192
      return isSide ? { side: Number(side), format: format as Size['format'] } : undefined
    },
    8,
  ),
  MAX_UPLOAD_BYTES: integer(52_428_800, 1024, 2 ** 40),
  MAX_PIXELS: integer(268_402_689, 1, 2 ** 31),
  UPLOADS_PER_MINUTE: integer(6_000, 1, 10_000_000),
  PROMISE_SECONDS: seconds(60, 0.1, 86_400),
  SCRAPE_SECONDS: seconds(15, 0.2, 60),
  SCRAPE_TARGETS: list<{ job: string; instance: string; url: URL }>(
    [],
    'a list of JOB=URL or JOB.INSTANCE=URL, separated by commas',
    item => {
      const [, job, instance, address = ''] =
        /^([a-z0-9_-]+)(?:\.([a-z0-9-]+))?=(https?:.+)$/.exec(item) ?? []
      const url = URL.parse(address)
      return job && url ? { job, instance: instance ?? url.host, url } : undefined
    },
  ),
  TARGETS_FILE: text('', 'a file in Prometheus’ file_sd format, JSON, with the labels job and instance'),
  PROBE_URL: base,
  ALERT_WEBHOOK_URL: address,
  HEARTBEAT_URL: address,
  PROBE_TOKEN: token,
  INGEST_TOKEN: token,
  SESSION_SECRET: token,
  QUEUE_URL: place(queueUrlFormat, queueAddress),
  QUEUE_ACCEPT_LOSS: flag,
  STORAGE_URL: place(storageUrlFormat, storageAddress),
  PROMETHEUS_URL: addressText,
  PROMETHEUS_HEADERS: headers,
  OTEL_EXPORTER_OTLP_ENDPOINT: addressText,
  LOGS_URL: addressText,
  SLO_URL: base,
  KEEP_PHOTOS_DAYS: days(0),
  KEEP_KEYS_DAYS: days(1),
  KEEP_LOGS_DAYS: days(30),
  KEEP_REVISIONS_DAYS: days(1),
  KEEP_TRACES_DAYS: days(7),
  KEEP_METRICS_DAYS: days(35),
  KEEP_DEAD_LETTERS_DAYS: days(30),
  LOG_LEVEL: choice('info', levels),
  GRACE_SECONDS: seconds(20, 0, 600),
} as const satisfies Record<keyof typeof meanings, Variable<unknown>>

export type VariableName = keyof typeof table
type Table = { readonly [N in VariableName]: (typeof table)[N] & { readonly meaning: string } }

/** The environment variables of these names; variables.json says what each means. */
export function pick<N extends VariableName>(...names: N[]): Pick<Table, N> {
  const entries = names.map(name => [name, { ...table[name], meaning: meanings[name] }])
  return Object.fromEntries(entries) as Pick<Table, N>
}

/** Every environment variable. Each service picks its own. */
export const variables: Table = pick(...(Object.keys(table) as VariableName[]))
