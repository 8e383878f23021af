import type { Definition } from './catalogue.ts'
import { machineCpuModes, pressures } from './catalogue.ts'

/** Metrics that machine.ts reads at each scrape: resources of the machine, and the process's share of them. */
export const ofTheMachine = {
  tintype_machine_cpu_seconds_total: {
    kind: 'counter',
    help: 'Processor time of the whole machine, all cores, everyone on it.',
    labels: { mode: machineCpuModes },
    in: ['web', 'converter'],
  },
  tintype_machine_pressure_seconds_total: {
    kind: 'counter',
    help: 'Time in which some task of the machine waited for a resource (Linux pressure stall information); 0 where the kernel does not report it.',
    labels: { resource: pressures },
    in: ['web', 'converter'],
  },
  tintype_machine_oom_kills_total: {
    kind: 'counter',
    help: 'Processes that the kernel killed because memory ran out; 0 where it does not report it.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_processor_wait_seconds_total: {
    kind: 'counter',
    help: 'Time in which this process’s main thread was runnable and waited for a processor, because of other processes or a quota; Linux only.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_event_loop_wait_seconds_total: {
    kind: 'counter',
    help: 'Half the square of each pause of the event loop. Its rate is the mean time that a request at a random moment waits for the loop.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_disk_free_bytes: {
    kind: 'gauge',
    help: 'Free space of the fullest of the file systems that hold data and photos.',
    labels: {},
    in: ['web', 'converter', 'logs'],
  },
  tintype_disk_size_bytes: {
    kind: 'gauge',
    help: 'Size of the fullest of the file systems that hold data and photos.',
    labels: {},
    in: ['web', 'converter', 'logs'],
  },
  tintype_disk_free_files: {
    kind: 'gauge',
    help: 'Free files (inodes) of the fullest file system.',
    labels: {},
    in: ['web', 'converter', 'logs'],
  },
  tintype_descriptors_used_ratio: {
    kind: 'gauge',
    help: 'Used share of the file descriptors that this process may open; 1 when none can be opened.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_clock_seconds: {
    kind: 'gauge',
    help: 'The machine’s clock at the scrape. Compared with the time of the sample it shows clock skew.',
    labels: {},
    in: ['web', 'converter'],
  },
} as const satisfies Record<string, Definition>
