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
    help: 'Time in which some task of the machine waited for a resource (Linux pressure stall information); 0 where the kernel does not tell.',
    labels: { resource: pressures },
    in: ['web', 'converter'],
  },
  tintype_machine_oom_kills_total: {
    kind: 'counter',
    help: 'Processes that the kernel killed because memory was short; 0 where it does not tell.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_processor_wait_seconds_total: {
    kind: 'counter',
    help: 'Time in which this process’s main thread could have run and waited for a processor: what others, or a quota, took from it; Linux only.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_event_loop_wait_seconds_total: {
    kind: 'counter',
    help: 'Half the square of each pause of the event loop: its rate is the seconds that whoever comes at any moment waits for the loop, in the mean.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_disk_free_bytes: {
    kind: 'gauge',
    help: 'Free for us on the fullest file system of those that hold data and photos.',
    labels: {},
    in: ['web', 'converter', 'logs'],
  },
  tintype_disk_size_bytes: {
    kind: 'gauge',
    help: 'Size of the fullest file system of those that hold data and photos.',
    labels: {},
    in: ['web', 'converter', 'logs'],
  },
  tintype_disk_free_files: {
    kind: 'gauge',
    help: 'Files (inodes) that the fullest file system can still take.',
    labels: {},
    in: ['web', 'converter', 'logs'],
  },
  tintype_descriptors_used_ratio: {
    kind: 'gauge',
    help: 'Share of the file descriptors that this process may open which are open; 1 when none can be opened.',
    labels: {},
    in: ['web', 'converter'],
  },
  tintype_clock_seconds: {
    kind: 'gauge',
    help: 'The clock of this machine at the scrape; against the sample’s own time it tells of skew.',
    labels: {},
    in: ['web', 'converter'],
  },
} as const satisfies Record<string, Definition>
