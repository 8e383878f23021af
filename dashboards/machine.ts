import { type DashboardSpec, lines, target } from './spec.ts'

const each = (expr: string) => [{ expr, legend: '{{job}} {{instance}}' }]

/** USE, process by process: utilisation, saturation, errors. */
export const machine: DashboardSpec = {
  uid: 'tintype-machine',
  title: 'Tintype · Machine',
  description: 'Which resource is short? Utilisation, saturation and errors of every process.',
  from: 'tintype_build_info',
  rows: [
    {
      title: 'Work',
      panels: [
        lines(
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
        lines(
          'How many photos wait?',
          'Depth of the queue. One queue is read by every web, hence the largest value.',
          'short',
          [{ expr: `max(tintype_queue_depth{${target}})`, legend: 'waiting' }],
        ),
        lines(
          'How long has the oldest waited?',
          'Age of the photo that waits longest. At 60 s a promise is broken.',
          's',
          [{ expr: `max(tintype_queue_oldest_seconds{${target}})`, legend: 'oldest' }],
          {
            thresholds: [
              { above: 30, means: 'late' },
              { above: 60, means: 'broken' },
            ],
          },
        ),
        lines(
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
        lines(
          'Were photos given up?',
          'Dead letters: photos that failed all their attempts. `npm run queue -- dead` lists them, `replay` tries them again.',
          'short',
          [{ expr: `max(tintype_dead_letters{${target}})`, legend: 'dead letters' }],
          { thresholds: [{ above: 1, means: 'late' }] },
        ),
        lines(
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
      title: 'Processes',
      panels: [
        lines(
          'How much CPU does each process use?',
          'In cores. The converter’s children are in the converter’s slots, not here.',
          'short',
          each(`rate(process_cpu_seconds_total{${target}}[$__rate_interval])`),
        ),
        lines(
          'Is an event loop blocked?',
          '99th percentile of the event loop’s delay. Above 100 ms every request of that process waits.',
          's',
          each(`nodejs_eventloop_lag_p99_seconds{${target}}`),
          { thresholds: [{ above: 0.1, means: 'late' }] },
        ),
        lines(
          'How much memory?',
          'Resident set of each process.',
          'bytes',
          each(`process_resident_memory_bytes{${target}}`),
        ),
        lines(
          'How large is the heap?',
          'V8 heap in use.',
          'bytes',
          each(`nodejs_heap_size_used_bytes{${target}}`),
        ),
        lines(
          'Are file descriptors running out?',
          'Open descriptors as a share of the limit.',
          'percentunit',
          each(`process_open_fds{${target}} / process_max_fds{${target}}`),
          { max: 1, thresholds: [{ above: 0.8, means: 'late' }] },
        ),
        lines(
          'Did a process start again?',
          'Seconds since each process started: a saw-tooth is a process that dies.',
          's',
          each(`time() - process_start_time_seconds{${target}}`),
        ),
      ],
    },
  ],
}
