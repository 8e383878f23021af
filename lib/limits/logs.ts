import type { Limit } from './limit.ts'

/** Limits of the log server. */
export const ofLogs = {
  logAge: {
    what: 'age of a received log segment and of a published day',
    value: 'KEEP_LOGS_DAYS',
    unit: 'days, 0 is for ever',
    owner: 'logs',
    answer: 'it is removed; a stream’s last line stays, so that it goes on where it was',
  },
  revisionAge: {
    what: 'age of a published day’s newer revision',
    value: 'KEEP_REVISIONS_DAYS',
    unit: 'days, 0 is for ever',
    owner: 'logs',
    answer: 'the revisions before it are removed',
  },
  streamAge: {
    what: 'silence of a log stream whose process has begun another',
    value: 30,
    unit: 'days',
    owner: 'logs',
    answer: 'its last line, too, is removed',
  },
  logBatches: { what: 'log batches at once', value: 64, unit: 'batches', owner: 'logs', answer: '503' },
  logBatchBytes: { what: 'a log batch', value: 2 ** 21, unit: 'bytes', owner: 'logs', answer: '413' },
  logBatchEntries: { what: 'a log batch', value: 1_000, unit: 'entries', owner: 'logs', answer: '400' },
  logStreams: {
    what: 'log streams of a day; a process that starts anew begins another',
    value: 4_096,
    unit: 'streams',
    owner: 'logs',
    answer: '503; entries of further ones wait at their process',
  },
  lookUps: {
    what: 'timelines and forecasts that wait for their turn',
    value: 32,
    unit: 'look-ups',
    owner: 'logs',
    answer: '503',
  },
  timelineEntries: {
    what: 'a timeline',
    value: 10_000,
    unit: 'entries',
    owner: 'logs',
    answer: '`cut: true`',
  },
  timelineBytes: { what: 'a timeline', value: 2 ** 25, unit: 'bytes', owner: 'logs', answer: '`cut: true`' },
} as const satisfies Record<string, Limit>
