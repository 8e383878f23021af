import type { VariableName } from './variables.ts'

type Owner = 'web' | 'converter' | 'logs' | 'slo' | 'every process' | 'queue' | 'storage'

/** A bounded resource, who enforces the bound, and what happens when it is reached. */
export type Limit = { owner: Owner; value: number | VariableName; unit: string; what: string; answer: string }

/** `value` is the number, or the variable that sets it. */
const row = <const V extends Limit['value']>(
  owner: Owner,
  value: V,
  unit: string,
  what: string,
  answer: string,
) => ({
  owner,
  value,
  unit,
  what,
  answer,
})

/**
 * Every bounded resource. `tintype_limit_reached_total{limit}` counts each time that one is reached. docs/reference.md
 * shows the table. test/tidy.test.ts fails when no test names a limit. Limits of web hold for one web process.
 */
// biome-ignore format: a table, one row a limit
export const limits = {
  photoAge: row('web', 'KEEP_PHOTOS_DAYS', 'days, 0 is for ever', 'age of a photo', 'the photo is removed, as if its user had deleted it'),
  keyAge: row('web', 'KEEP_KEYS_DAYS', 'days, 0 is for ever', 'age of an Idempotency-Key', 'the key is forgotten: a retry with it is a new photo'),
  deadLetterAge: row('web', 'KEEP_DEAD_LETTERS_DAYS', 'days, 0 is for ever', 'age of a dead letter', 'the queue forgets it and it cannot be replayed; the photo stays failed'),
  uploadBytes: row('web', 'MAX_UPLOAD_BYTES', 'bytes', 'a photo', '413'),
  formParts: row('web', 16, 'parts', 'parts of a form', '400'),
  uploads: row('web', 1_000, 'uploads', 'uploads at once', '503'),
  visitorUploads: row('web', 64, 'uploads', 'uploads at once of one session', '429'),
  addressUploads: row('web', 256, 'uploads', 'uploads at once of one address (IPv6: /64)', '429'),
  visitorRate: row('web', 'UPLOADS_PER_MINUTE', 'a minute', 'uploads of one session, or of one address without a session', '429'),
  addressRate: row('web', 3, '× `UPLOADS_PER_MINUTE`', 'uploads of one address (IPv6: /64), over all its sessions', '429'),
  predictedShare: row('web', 0.5, '× `PROMISE_SECONDS`', 'predicted time to the thumbnail, before the body is taken', '503'),
  receivedShare: row('web', 0.65, '× `PROMISE_SECONDS`', 'predicted time to the thumbnail, after the body was received', '503'),
  discards: row('web', 100, 'removals', 'removals at once of uploads that were not accepted', 'the files of further ones stay until the sweep removes them a day later'),
  waits: row('web', 1_000, 'answers', 'answers at once that wait for the thumbnail (`Prefer: wait`)', '202 without waiting'),
  streams: row('web', 2_000, 'streams', 'event streams', '503'),
  visitorStreams: row('web', 8, 'streams', 'event streams of one session', '503'),
  addressStreams: row('web', 512, 'streams', 'event streams of one address (IPv6: /64)', '503'),
  streamBacklog: row('web', 262_144, 'bytes', 'bytes of an event stream that its client has not received', 'the stream is closed; Last-Event-ID resumes it'),
  streamEvents: row('web', 1_000, 'events', 'events that wait to be written to one stream', 'the stream is closed; Last-Event-ID resumes it'),
  remembered: row('web', 10_000, 'entries', 'sessions, addresses and photos that web remembers for rates and delivery times, of each kind', 'the oldest is forgotten: its rate starts full, its delivery is not measured'),
  photoPixels: row('converter', 'MAX_PIXELS', 'pixels', 'pixels of a photo, and less of a format that is decoded whole; each side 65,535', '422, or the photo fails as over-limit; its promise is void'),
  tiffPages: row('converter', 100, 'pages', 'pages of a TIFF among which the largest is searched for', 'the thumbnail shows the first page'),
  queueAnswer: row('queue', 3, 'seconds', 'time that PostgreSQL has to answer', 'the call fails with ETIMEDOUT; web answers 503'),
  storageCall: row('storage', 10, 'seconds', 'time of one request to S3, its three tries together', 'the call fails with code TimeoutError; web answers an upload with 503 and Retry-After'),
  storageConnections: row('storage', 256, 'connections', 'connections of one process to S3', 'the request waits for a free one, within its time'),
  journalHeld: row('every process', 2 ** 30, 'bytes', 'entries in the journal of a process that are not shipped yet', 'further entries are lost; `log.lost` counts them when there is room again'),
  journals: row('every process', 32, 'processes', 'processes of one service and INSTANCE on one DATA_DIR', 'entries of further ones go to standard error only, from warnings up'),
  logPayload: row('every process', 2 ** 16, 'bytes', 'facts of a log entry', 'their first 1,024 characters are kept, and how many bytes there were'),
  raisedLevels: row('every process', 1_000, 'sessions', 'sessions whose log level is raised at once', 'the level of further ones stays'),
  unreadOutput: row('every process', 1_048_576, 'bytes', 'standard output or error that nobody has read', 'further output is dropped; the log has every entry'),
  traceAge: row('every process', 'KEEP_TRACES_DAYS', 'days since it was written to, 0 is for ever', 'age of a trace file in DATA_DIR/traces', 'the file is removed by its process, or by slo when that is gone'),
  traceBytes: row('every process', 512, 'MiB, about 80,000 photos', 'trace files of a process in DATA_DIR/traces', 'the oldest file is removed'),
  stalledSeconds: row('every process', 45, 'seconds', 'time in which a client sends nothing of an awaited body, or receives nothing of a response', '408 unless a response has begun; the connection is closed'),
  bytesPerSecond: row('every process', 1_024, 'bytes a second', 'lowest rate at which a client may send or receive, measured over `stalledSeconds`', '408 unless a response has begun; the connection is closed'),
  headerSeconds: row('every process', 20, 'seconds', 'time for the headers of a request', '408; the connection is closed'),
  headerBytes: row('every process', 16_384, 'bytes', 'headers of a request', '431; the connection is closed'),
  jsonBytes: row('every process', 1_024, 'bytes', 'JSON body of a request on a public port', '413'),
  adminBytes: row('every process', 1_048_576, 'bytes', 'JSON body of a request on an administration port', '413'),
  restBytes: row('every process', 64 * 2 ** 20, 'bytes', 'rest of a body that is read and discarded after an early response', 'the connection is closed'),
  restSeconds: row('every process', 30, 'seconds', 'time for the rest of a body after an early response', 'the connection is closed'),
  logAge: row('logs', 'KEEP_LOGS_DAYS', 'days, 0 is for ever', 'age of a received log segment and of a published day', 'it is removed; the last line of a stream stays, so that its shipper can continue'),
  revisionAge: row('logs', 'KEEP_REVISIONS_DAYS', 'days, 0 is for ever', 'age of a published day’s newer revision', 'the revisions before it are removed'),
  streamAge: row('logs', 30, 'days', 'silence of a log stream whose process has begun another', 'its last line, too, is removed'),
  logBatches: row('logs', 64, 'batches', 'log batches at once', '503'),
  logBatchBytes: row('logs', 2 ** 21, 'bytes', 'a log batch', '413'),
  logBatchEntries: row('logs', 1_000, 'entries', 'a log batch', '400'),
  logStreams: row('logs', 4_096, 'streams', 'log streams of a day; each start of a process begins one', '503; entries of further ones wait at their process'),
  lookUps: row('logs', 32, 'look-ups', 'timelines and forecasts that wait for their turn', '503'),
  timelineEntries: row('logs', 10_000, 'entries', 'a timeline', '`cut: true`'),
  timelineBytes: row('logs', 2 ** 25, 'bytes', 'a timeline', '`cut: true`'),
  metricsAge: row('slo', 'KEEP_METRICS_DAYS', 'days, 0 is for ever', 'age of a minute of the embedded recorder, of which budgets and alerts are made', 'the minute is removed, the oldest first'),
  sampleAge: row('slo', 2, 'days', 'age of a single sample of the embedded recorder, which diagnosis and charts read', 'the scrape is removed, the oldest first'),
  scrapeBytes: row('slo', 16, 'MiB a scrape', 'metrics of one process, as it exposes them (ours take 60 kB)', 'the scrape is not recorded, and the log says so'),
  metricSeries: row('slo', 2_000, 'series', 'series of one metric of a process: more is an unbounded label', 'the metric is not recorded, and the log names it'),
  processSeries: row('slo', 20_000, 'series', 'series of a process (ours expose 400)', 'the scrape is not recorded, and the log says so'),
  readSeries: row('slo', 2_000, 'series', 'series of one read of Prometheus; the processes that were restarted in 90 days stay well below', 'the read fails and names the expression: a label of it is unbounded'),
  readSeconds: row('slo', 30, 'seconds', 'time of one read of Prometheus', 'the read fails and names the expression; its minutes are unknown until they can be read'),
  readBytes: row('slo', 128, 'MiB', 'answer of one read of Prometheus', 'the read fails and names the expression'),
  reads: row('slo', 8, 'reads', 'reads of one Prometheus at once; it evaluates 20 queries at once by default, and others ask, too', 'the next read waits for one that ends'),
  objectiveGroups: row('slo', 100, 'values', 'values of the label by which an objective is grouped, in the order of their names', 'further values have no budget; a group of rules with more fails in Prometheus'),
  probeJourneys: row('slo', 8, 'attempts', 'attempts of the probe under way; a journey of Tintype takes at most 95 s', 'the next attempt is left out, and the log says so'),
  publicWork: row('slo', 100, 'ms a second, 3 s saved up', 'time that slo computes for requests of its public port', '503 with Retry-After'),
  verdicts: row('slo', 100, 'verdicts', 'answers of diagnose that the pages show for earlier times, 5 min apart', 'the oldest is forgotten'),
  plannedDowntimes: row('slo', 1_000, 'downtimes', 'planned downtimes, past ones too', 'the oldest is removed'),
  alertMessages: row('slo', 1, 'message', 'messages under way to the webhook of alerts', 'the newest state is sent next; what it replaced is not'),
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits
export const limitNames = Object.keys(limits) as LimitName[]

const reached = new Map<LimitName, number>()
/** Counts of code that has no metrics object. Every registry of the process adds them to its own. */
export const limitsReached: ReadonlyMap<LimitName, number> = reached
export const countLimit = (name: LimitName, by = 1): void =>
  void reached.set(name, (reached.get(name) ?? 0) + by)
