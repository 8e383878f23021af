import { type DashboardSpec, lines, target } from './spec.ts'

/** An entry stands twice on the disk: in the journal, and once its day is over in the published day. */
const copies = 2
const daySeconds = 86_400

const by = (metric: string, group = 'by (stream) '): string =>
  `sum ${group}(rate(${metric}{${target}}[$__rate_interval]))`

/** Over an hour: a minute's rate would make days out of a burst. */
const bytesPerDay = (offset = ''): string =>
  `avg_over_time(${by('tintype_log_bytes_total', '')}[1h:]${offset}) * ${copies * daySeconds}`
/** The disk of the log server, not those of the other services. */
const ofServer = (metric: string): string =>
  `${metric}{${target}} and on (job, instance) tintype_log_lag_seconds{${target}}`

/** The log is evidence: is all of it here, how large does it get, and for how long is there room? */
export const logs: DashboardSpec = {
  uid: 'tintype-logs',
  title: 'Tintype · Logs',
  description: 'Does every entry arrive, how fast does the log grow, and for how many days is there room?',
  from: 'tintype_log_lag_seconds',
  ago: ['1d', '1h', '7d'],
  rows: [
    {
      title: 'The log',
      panels: [
        lines(
          'For how many days is there room?',
          'Free bytes of the log server’s disk, by what the last hour wrote, published days included. `npm run logs -- sizing` looks at whole days.',
          'suffix: days',
          [
            {
              expr: `min(${ofServer('tintype_disk_free_bytes')}) / (${bytesPerDay()})`,
              legend: 'at the last hour’s rate',
            },
          ],
          {
            kind: 'stat',
            height: 4,
            decimals: 0,
            thresholds: [
              { above: 3, means: 'late' },
              { above: 14, means: 'good' },
            ],
          },
        ),
        lines(
          'How much will it be a day?',
          'Bytes on disk that a day at this rate makes, journal and published day.',
          'bytes',
          [{ expr: bytesPerDay(), legend: 'a day' }],
          { kind: 'stat', height: 4, decimals: 1 },
        ),
        lines(
          'Does it grow?',
          'What the last hour wrote against the same hour before: 100 % is as much.',
          'percentunit',
          [
            {
              expr: `(${bytesPerDay()}) / (${bytesPerDay(' offset $ago')})`,
              legend: 'of before',
            },
          ],
          {
            kind: 'stat',
            height: 4,
            decimals: 0,
            nothing: 'nothing to compare with',
            thresholds: [
              { above: 2, means: 'late' },
              { above: 10, means: 'broken' },
            ],
          },
        ),
        lines(
          'How far behind is each process?',
          'Age of a stream’s newest entry when it became durable at the log server. Seconds are normal; minutes mean that entries wait in the journal of that process.',
          's',
          [{ expr: `max by (stream) (tintype_log_lag_seconds{${target}})`, legend: '{{stream}}' }],
          { thresholds: [{ above: 60, means: 'late' }] },
        ),
        lines(
          'How many entries arrive?',
          'Entries made durable, by the process that wrote them. A line that ends is a process that no longer logs, or no longer ships.',
          'eps',
          [{ expr: by('tintype_log_entries_total'), legend: '{{stream}}' }],
        ),
        lines(
          'How many bytes arrive?',
          'What the journal grows by, by the process that wrote it.',
          'binBps',
          [{ expr: by('tintype_log_bytes_total'), legend: '{{stream}}' }],
        ),
        lines(
          'How large is an entry?',
          'Mean bytes of an entry. A jump is a payload that somebody made larger.',
          'bytes',
          [
            {
              expr: `${by('tintype_log_bytes_total')} / (${by('tintype_log_entries_total')} > 0)`,
              legend: '{{stream}}',
            },
          ],
        ),
        lines(
          'How are shippers answered?',
          '200 took a batch; 409 found a gap and asks again from there; 503 could not write: look at the disk.',
          'reqps',
          [
            {
              expr: `sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{http_route="/streams/:stream", ${target}}[$__rate_interval]))`,
              legend: '{{http_response_status_code}}',
            },
          ],
        ),
        lines(
          'How full is the disk?',
          'Used share of the file system that holds the log.',
          'percentunit',
          [
            {
              expr: `1 - (${ofServer('tintype_disk_free_bytes')}) / tintype_disk_size_bytes{${target}}`,
              legend: '{{instance}}',
            },
          ],
          {
            max: 1,
            thresholds: [
              { above: 0.8, means: 'late' },
              { above: 0.95, means: 'broken' },
            ],
          },
        ),
      ],
    },
  ],
}
