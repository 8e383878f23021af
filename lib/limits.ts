import type { variables } from './variables.ts'

type VariableName = keyof typeof variables

/** One bounded thing: what is bounded, who enforces it, and what happens at the limit. */
export type Limit = {
  what: string
  /** The number, or the variable that sets it. */
  value: number | VariableName
  unit: string
  owner: 'web' | 'converter' | 'logs' | 'slo' | 'every process' | 'queue' | 'storage'
  /** What the one who reaches it sees. */
  answer: string
}

/** A limit of an owner, in one line. */
const of =
  <O extends Limit['owner']>(owner: O) =>
  <const V extends Limit['value']>(value: V, unit: string, what: string, answer: string) => ({
    value,
    unit,
    what,
    owner,
    answer,
  })
const all = of('every process')
const web = of('web')
const logs = of('logs')
const slo = of('slo')
const days = 'days, 0 is for ever'

/**
 * Every bounded resource. `tintype_limit_reached_total{limit}` counts each time that one is reached; the reference
 * prints the table; test/tidy.test.ts fails when no test names a limit. Limits of web hold for one web process.
 */
export const limits = {
  photoAge: web('KEEP_PHOTOS_DAYS', days, 'age of a photo', 'removed, as if its person had deleted it'),
  keyAge: web('KEEP_KEYS_DAYS', days, 'age of an Idempotency-Key', 'forgotten: a retry is a new photo'),
  deadLetterAge: {
    what: 'age of a dead letter',
    value: 'KEEP_DEAD_LETTERS_DAYS',
    unit: days,
    owner: 'web',
    answer: 'the queue forgets it and it cannot be replayed; the photo stays failed',
  },
  logAge: {
    what: 'age of a received log segment and of a published day',
    value: 'KEEP_LOGS_DAYS',
    unit: days,
    owner: 'logs',
    answer: 'it is removed; a stream’s last line stays, so that it goes on where it was',
  },
  revisionAge: {
    what: 'age of a published day’s newer revision',
    value: 'KEEP_REVISIONS_DAYS',
    unit: days,
    owner: 'logs',
    answer: 'the revisions before it are removed',
  },
  streamAge: logs(30, 'days', 'silence of a stream whose process began another', 'its last line is removed'),
  logBatches: logs(64, 'batches', 'log batches at once', '503'),
  logBatchBytes: logs(2 ** 21, 'bytes', 'a log batch', '413'),
  logBatchEntries: logs(1_000, 'entries', 'a log batch', '400'),
  logStreams: {
    what: 'log streams of a day; a process that starts anew begins another',
    value: 4_096,
    unit: 'streams',
    owner: 'logs',
    answer: '503; entries of further ones wait at their process',
  },
  lookUps: logs(32, 'look-ups', 'timelines and forecasts that wait for their turn', '503'),
  timelineEntries: logs(10_000, 'entries', 'a timeline', '`cut: true`'),
  timelineBytes: logs(2 ** 25, 'bytes', 'a timeline', '`cut: true`'),
  journalHeld: {
    what: 'entries of a process that the log server has not taken',
    value: 2 ** 30,
    unit: 'bytes',
    owner: 'every process',
    answer: 'further entries are lost; `log.lost` tells how many when there is room again',
  },
  journals: {
    what: 'processes of one service and INSTANCE on one DATA_DIR',
    value: 32,
    unit: 'processes',
    owner: 'every process',
    answer: 'entries of further ones go to standard error only, from warnings up',
  },
  logPayload: {
    what: 'facts of a log entry',
    value: 2 ** 16,
    unit: 'bytes',
    owner: 'every process',
    answer: 'their first 1,024 characters are kept, and how many bytes there were',
  },
  raisedLevels: all(1_000, 'sessions', 'sessions whose log level is raised', 'the level of others stays'),
  unreadOutput: {
    what: 'standard output or error that its reader has not taken',
    value: 2 ** 20,
    unit: 'bytes',
    owner: 'every process',
    answer: 'what is written further is dropped; the log has every entry all the same',
  },
  traceAge: {
    what: 'age of a trace file in DATA_DIR/traces',
    value: 'KEEP_TRACES_DAYS',
    unit: 'days since it was written to, 0 is for ever',
    owner: 'every process',
    answer: 'the file is removed by its process, or by slo when that is gone',
  },
  traceBytes: {
    what: 'trace files of a process in DATA_DIR/traces',
    value: 512,
    unit: 'MiB, about 80,000 photos',
    owner: 'every process',
    answer: 'the oldest file is removed',
  },
  metricsAge: {
    what: 'age of a minute of the embedded recorder, which budgets and alerts are computed from',
    value: 'KEEP_METRICS_DAYS',
    unit: days,
    owner: 'slo',
    answer: 'the minute is removed, the oldest first',
  },
  sampleAge: {
    what: 'age of a single sample of the embedded recorder, which diagnosis and charts read',
    value: 2,
    unit: 'days',
    owner: 'slo',
    answer: 'the scrape is removed, the oldest first',
  },
  scrapeBytes: {
    what: 'metrics of one process, as it exposes them (ours take 60 kB)',
    value: 16,
    unit: 'MiB a scrape',
    owner: 'slo',
    answer: 'the scrape is not recorded, and the log says so',
  },
  metricSeries: {
    what: 'series of one metric of a process: more is an unbounded label',
    value: 2_000,
    unit: 'series',
    owner: 'slo',
    answer: 'the metric is not recorded, and the log names it',
  },
  processSeries: {
    what: 'series of a process (ours expose 400)',
    value: 20_000,
    unit: 'series',
    owner: 'slo',
    answer: 'the scrape is not recorded, and the log says so',
  },
  probeJourneys: {
    what: 'journeys of the synthetic user under way; one takes at most 95 s',
    value: 8,
    unit: 'journeys',
    owner: 'slo',
    answer: 'the next journey is left out, and the log says so',
  },
  alertMessages: {
    what: 'messages under way to the webhook of alerts',
    value: 1,
    unit: 'message',
    owner: 'slo',
    answer: 'the newest state is sent next; what it replaced is not',
  },
  reportedAlerts: slo(1_000, 'alerts', 'firing alerts that Alertmanager reported', 'the oldest is forgotten'),
  photoPixels: {
    what: 'pixels of a photo, and less of a format that is decoded whole; each side 65,535',
    value: 'MAX_PIXELS',
    unit: 'pixels',
    owner: 'converter',
    answer: '422, or the photo fails as over-limit; its promise is void',
  },
  tiffPages: {
    what: 'pages of a TIFF of which the largest is sought',
    value: 100,
    unit: 'pages',
    owner: 'converter',
    answer: 'the thumbnail shows the first page',
  },
  stalledSeconds: all(45, 'seconds', 'a client that sends or takes none of the bytes due', '408, or closed'),
  bytesPerSecond: all(1024, 'bytes a second', 'pace of a client, over `stalledSeconds`', '408, or closed'),
  headerSeconds: all(20, 'seconds', 'headers of a request', '408'),
  headerBytes: all(2 ** 14, 'bytes', 'headers of a request', '431'),
  jsonBytes: all(1024, 'bytes', 'JSON body of a request on a public port', '413'),
  adminBytes: all(2 ** 20, 'bytes', 'JSON body of a request on an administration port', '413'),
  restBytes: all(2 ** 26, 'bytes', 'rest of a body that was answered early, read and dropped', 'closed'),
  restSeconds: all(30, 'seconds', 'the same, in time', 'closed'),
  uploadBytes: web('MAX_UPLOAD_BYTES', 'bytes', 'a photo', '413'),
  formParts: web(16, 'parts', 'a form', '400'),
  uploads: web(1_000, 'uploads', 'uploads at once', '503'),
  visitorUploads: web(64, 'uploads', 'uploads at once of one session', '429'),
  addressUploads: web(256, 'uploads', 'uploads at once of one address (IPv6: /64)', '429'),
  visitorRate: web('UPLOADS_PER_MINUTE', 'a minute', 'uploads of a session, or address without one', '429'),
  addressRate: web(3, '× `UPLOADS_PER_MINUTE`', 'uploads of an address, over all its sessions', '429'),
  predictedShare: web(0.5, '× `PROMISE_SECONDS`', 'predicted time of a photo, before its body', '503'),
  receivedShare: web(0.65, '× `PROMISE_SECONDS`', 'predicted time of a photo, after its body', '503'),
  waits: web(1_000, 'answers', 'answers at once that wait for a thumbnail', '202 without waiting'),
  streams: web(2_000, 'streams', 'event streams', '503'),
  visitorStreams: web(8, 'streams', 'event streams of one session', '503'),
  addressStreams: web(512, 'streams', 'event streams of one address (IPv6: /64)', '503'),
  streamBacklog: web(2 ** 18, 'bytes', 'bytes of a stream not taken by its reader', 'closed; resume it'),
  streamEvents: web(1_000, 'events', 'events of a stream that are not written yet', 'closed; resume it'),
  remembered: web(10_000, 'entries', 'visitors, and photos, that web remembers', 'the oldest is forgotten'),
  storageCall: {
    what: 'time of one request to S3, its three tries together',
    value: 10,
    unit: 'seconds',
    owner: 'storage',
    answer: 'the call fails with code TimeoutError; web answers an upload with 503 and Retry-After',
  },
  storageConnections: {
    what: 'connections of one process to S3',
    value: 256,
    unit: 'connections',
    owner: 'storage',
    answer: 'the request waits for one that is free, as part of its time',
  },
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits
export const limitNames = Object.keys(limits) as LimitName[]

const reached = new Map<LimitName, number>()
/** How often each limit was reached where no metrics are at hand; every registry of the process shows it. */
export const limitsReached: ReadonlyMap<LimitName, number> = reached
export const countLimit = (name: LimitName, by = 1): void =>
  void reached.set(name, (reached.get(name) ?? 0) + by)
