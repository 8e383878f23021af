import { type DashboardSpec, lines, target } from './spec.ts'

/** Four in a row: all twelve are on one screen. */
const quarter: typeof lines = (title, description, unit, queries, more) =>
  lines(title, description, unit, queries, { width: 6, height: 6, ...more })

/** The worst of a service's processes; the variable Instance takes them apart. */
const worst = (expr: string) => [{ expr: `max by (job) (${expr})`, legend: '{{job}}' }]

/** USE, process by process: utilisation, saturation, errors. */
export const machine: DashboardSpec = {
  uid: 'tintype-machine',
  title: 'Tintype · Machine',
  description: 'Which resource is short? Utilisation, saturation and errors of every process.',
  from: 'tintype_build_info',
  rows: [
    {
      title: 'Is something saturated?',
      panels: [
        quarter(
          'Are the converters busy?',
          'Share of the converters’ slots in use. At 100 % for long, photos wait: add slots or converters.',
          'percentunit',
          [
            {
              expr: `sum(tintype_slots_busy{${target}}) / sum(tintype_slots{${target}})`,
              legend: 'slots busy',
            },
          ],
          { max: 1, thresholds: [{ above: 0.9, means: 'late' }] },
        ),
        quarter(
          'How many photos wait?',
          'Depth of the queue. One queue is read by every web, hence the largest value.',
          'short',
          [{ expr: `max(tintype_queue_depth{${target}})`, legend: 'waiting' }],
          { softMax: 10, decimals: 0 },
        ),
        quarter(
          'How long has the oldest waited?',
          'Age of the photo that waits longest. At 60 s a promise is broken.',
          's',
          [{ expr: `max(tintype_queue_oldest_seconds{${target}})`, legend: 'oldest' }],
          {
            softMax: 60,
            thresholds: [
              { above: 30, means: 'late' },
              { above: 60, means: 'broken' },
            ],
          },
        ),
        quarter(
          'How fast is the storage?',
          '95th percentile of storage operations. A put contains two fsyncs: it is the disk that one sees.',
          's',
          [
            {
              expr: `histogram_quantile(0.95, sum by (le, operation) (rate(tintype_storage_seconds_bucket{${target}}[$__rate_interval])))`,
              legend: '{{operation}}',
            },
          ],
        ),
      ],
    },
    {
      title: 'Does something fail?',
      panels: [
        quarter(
          'What became of conversions?',
          'Attempts of the converter’s children by outcome. Timeouts, memory and crashes are tried again.',
          'ops',
          [
            {
              expr: `sum by (outcome) (rate(tintype_conversions_total{${target}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
        ),
        quarter(
          'Were photos given up?',
          'Dead letters: photos that failed all their attempts. `npm run queue -- dead` lists them, `replay` tries them again.',
          'short',
          [{ expr: `max(tintype_dead_letters{${target}})`, legend: 'dead letters' }],
          { softMax: 4, decimals: 0, thresholds: [{ above: 1, means: 'late' }] },
        ),
        quarter(
          'Is an event loop blocked?',
          '99th percentile of the event loop’s delay. Above 100 ms every request of that process waits.',
          's',
          worst(`nodejs_eventloop_lag_p99_seconds{${target}}`),
          { thresholds: [{ above: 0.1, means: 'late' }] },
        ),
        quarter(
          'Did a process start again?',
          'Time since the youngest process of a service started: a saw-tooth is a process that dies.',
          's',
          [
            {
              expr: `time() - max by (job) (process_start_time_seconds{${target}})`,
              legend: '{{job}}',
            },
          ],
        ),
      ],
    },
    {
      title: 'What is used?',
      panels: [
        quarter(
          'How much CPU?',
          'In cores, all processes of a service together. The converter’s children are in the converter’s slots, not here.',
          'short',
          [
            {
              expr: `sum by (job) (rate(process_cpu_seconds_total{${target}}[$__rate_interval]))`,
              legend: '{{job}}',
            },
          ],
        ),
        quarter(
          'How much memory?',
          'Resident set, the largest of a service’s processes.',
          'bytes',
          worst(`process_resident_memory_bytes{${target}}`),
        ),
        quarter(
          'How large is the heap?',
          'V8 heap in use, the largest of a service’s processes.',
          'bytes',
          worst(`nodejs_heap_size_used_bytes{${target}}`),
        ),
        quarter(
          'Do descriptors run out?',
          'Open descriptors as a share of the limit.',
          'percentunit',
          worst(`process_open_fds{${target}} / process_max_fds{${target}}`),
          { max: 1, thresholds: [{ above: 0.8, means: 'late' }] },
        ),
      ],
    },
  ],
}
