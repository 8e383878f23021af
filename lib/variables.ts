import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import * as is from './config.ts'
import type { Size } from './photo/record.ts'
import { queueAddress, queueUrlFormat } from './queue/queue-url.ts'
import { storageAddress, storageUrlFormat } from './storage/storage-url.ts'
import { levels } from './telemetry/catalogue.ts'
import meanings from './variables.json' with { type: 'json' }
import { version } from './version.ts'

// No URL can have the zone of an address (%eth0).
const host = is.variable('127.0.0.1', 'an IP address or host name, without a port, brackets or %', given =>
  (isIP(given) && !given.includes('%')) || /^[\w.-]+$/.test(given) ? given : undefined,
)

const table = {
  // INSTANCE is part of a file's name of at most 255 characters, with service, epoch and a release's colour.
  INSTANCE: is.pattern('0', /^[a-z0-9-]{1,180}$/, 'up to 180 lower-case letters, digits and hyphens'),
  VERSION: is.pattern(version, /^[\w.+-]{1,64}$/, 'letters, digits, dots, plus and minus signs, underscores'),
  DATA_DIR: is.path('./data', 'a folder'),
  HOST: host,
  ADMIN_HOST: host,
  WEB_PORT: is.port(8080),
  WEB_ADMIN_PORT: is.port(9081),
  CONVERTER_ADMIN_PORT: is.port(9082),
  LOGS_PORT: is.port(8083),
  LOGS_ADMIN_PORT: is.port(9083),
  SLO_PORT: is.port(8084),
  SLO_ADMIN_PORT: is.port(9084),
  CONVERTER_SLOTS: is.integer(availableParallelism(), 1, 256),
  CONVERT_SECONDS: is.seconds(15, 0.1, 600),
  CHILD_MEMORY_BYTES: is.integer(2 ** 30, 64 * 2 ** 20, 2 ** 40),
  THUMBNAILS: is.list<Size>(
    [{ side: 320, format: 'jpg' }],
    'up to 8 of SIDE.jpg, SIDE.png, SIDE.webp or SIDE.avif, separated by commas, SIDE from 1 to 8192 pixels, of AVIF to 4096',
    item => {
      const [, side, format] = /^([1-9]\d{0,3})\.(jpg|png|webp|avif)$/.exec(item) ?? []
      // A larger AVIF takes more than CHILD_MEMORY_BYTES' default to encode.
      const most = format === 'avif' ? 4096 : 8192
      return Number(side) <= most ? { side: Number(side), format: format as Size['format'] } : undefined
    },
    8,
  ),
  // Node reads no larger file at once.
  MAX_UPLOAD_BYTES: is.integer(52_428_800, 1024, 2 ** 31 - 1),
  MAX_PIXELS: is.integer(268_402_689, 1, 2 ** 31),
  UPLOADS_PER_MINUTE: is.integer(6_000, 1, 10_000_000),
  PROMISE_SECONDS: is.seconds(60, 0.1, 86_400),
  SCRAPE_SECONDS: is.seconds(15, 0.2, 60),
  SCRAPE_TARGETS: is.list<{ job: string; instance: string; url: URL }>(
    [],
    'a list of JOB=URL or JOB.INSTANCE=URL, separated by commas',
    item => {
      const [, job, instance, address = ''] =
        /^([a-z0-9_-]+)(?:\.([a-z0-9-]+))?=(https?:.+)$/.exec(item) ?? []
      const url = URL.parse(address)
      return job && url ? { job, instance: instance ?? url.host, url } : undefined
    },
  ),
  TARGETS_FILE: is.path('', 'a file in Prometheus’ file_sd format, JSON, with the labels job and instance'),
  PROBE_URL: is.base,
  ALERT_WEBHOOK_URL: { ...is.address, secret: true }, // its path is a secret at a chat, as is that of HEARTBEAT_URL
  HEARTBEAT_URL: { ...is.address, secret: true },
  PROBE_TOKEN: is.token,
  INGEST_TOKEN: is.token,
  SESSION_SECRET: is.token,
  QUEUE_URL: is.trimmed(queueUrlFormat, queueAddress),
  STORAGE_URL: is.trimmed(storageUrlFormat, storageAddress),
  PROMETHEUS_URL: is.textOf(is.address),
  PROMETHEUS_HEADERS: is.headers,
  OTEL_EXPORTER_OTLP_ENDPOINT: is.textOf(is.base),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: is.textOf(is.address),
  LOGS_URL: is.textOf(is.link),
  SLO_URL: is.link,
  KEEP_PHOTOS_DAYS: is.days(0),
  KEEP_KEYS_DAYS: is.days(1),
  KEEP_LOGS_DAYS: is.days(30),
  KEEP_REVISIONS_DAYS: is.days(1),
  KEEP_TRACES_DAYS: is.days(7),
  KEEP_METRICS_DAYS: is.days(35),
  KEEP_DEAD_LETTERS_DAYS: is.days(30),
  LOG_LEVEL: is.choice('info', levels),
  GRACE_SECONDS: is.seconds(20, 0, 600),
  FLUSH_SECONDS: is.seconds(0, 0, 600),
} as const satisfies Record<keyof typeof meanings, is.Variable<unknown>>

export type VariableName = keyof typeof table
type Table = { readonly [N in VariableName]: (typeof table)[N] & { readonly meaning: string } }

/** The environment variables of these names, with their meaning from variables.json. */
export function pick<N extends VariableName>(...names: N[]): Pick<Table, N> {
  const entries = names.map(name => [name, { ...table[name], meaning: meanings[name] }])
  return Object.fromEntries(entries) as Pick<Table, N>
}

/** The values of these variables, default all, as `readConfig` gives them. */
export type Config<N extends VariableName = VariableName> = ReturnType<typeof is.readConfig<Pick<Table, N>>>

/** Every environment variable. Each service picks its own. */
export const variables: Table = pick(...(Object.keys(table) as VariableName[]))
