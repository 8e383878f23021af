import { join } from 'node:path'
import type { Drill } from '../drill.ts'
import { fill, mountDisk } from '../inject/disk.ts'
import { reachedByLine, scrapedByLine } from '../inject/line.ts'
import { byName } from '../inject/name-server.ts'
import { avif } from '../inject/photos.ts'
import { slowReads, wrongClock } from '../inject/preloaded.ts'
import { kill, repeat, throttle } from '../inject/processes.ts'
import { holdLock } from '../inject/queue.ts'
import { releaseOf } from '../inject/release.ts'
import { needsPart, needsProcessorGroups, needsRoot } from '../missing.ts'
import { skewSeconds } from './convert.ts'
import { probeScrapes } from './receive.ts'

/** Drills that were chosen without looking at diagnose, and are not used in its development. */
const faults: readonly Drill[] = [
  {
    name: 'another program holds the lock of the queue',
    truth: ['receive queue-stalled', 'wait queue-stalled', 'deliver queue-stalled'],
    why: 'all three ask the queue: which of them waits most for the lock is chance',
    prepare: lab => ({ inject: () => holdLock(lab, { heldMs: 2_000, everyMs: 2_500 }) }),
  },
  {
    name: 'disk slow to read only',
    truth: ['convert disk-latency'],
    missing: needsPart('gcc'),
    prepare: lab => slowReads(lab, 900),
  },
  {
    name: 'narrow line from web',
    truth: ['receive network'],
    scrapes: probeScrapes,
    async prepare(lab) {
      const { line, environment } = await reachedByLine(lab)
      return {
        environment,
        address: line.url,
        inject() {
          line.bytesPerSecond = 400
        },
      }
    },
  },
  {
    name: 'web gets almost no processor',
    truth: ['receive cpu'],
    missing: needsProcessorGroups,
    prepare: lab => ({ inject: ({ pid }) => throttle(lab, pid('web'), 0.8) }),
  },
  {
    name: 'web dies again and again',
    truth: ['receive dependency-away'],
    alone: true,
    scrapes: probeScrapes,
    prepare: lab => ({ inject: ({ pid }) => repeat(lab, 5_000, () => kill(pid('web'))) }),
  },
  {
    name: 'photos in a format that costs more',
    // Each photo is more work, as `big-inputs` says. No version changed, so `release` would be a guess.
    truth: ['convert big-inputs'],
    alone: true,
    async prepare() {
      const image = await avif()
      return {
        inject({ traffic }) {
          traffic.images = [image]
        },
      }
    },
  },
  {
    name: 'settings ask for huge thumbnails',
    // The same pixels cost more, which is what `release` says.
    truth: ['convert release'],
    alone: true,
    scrapes: probeScrapes, // it restarts first
    prepare: releaseOf([
      [
        'lib/variables.ts',
        "[{ side: 320, format: 'jpg' }]",
        "[{ side: 320, format: 'jpg' }, { side: 3500, format: 'webp' }]",
      ],
    ]),
  },
  {
    name: 'more photos than the slots can do',
    truth: ['wait traffic'],
    alone: true,
    prepare: () => ({
      inject({ traffic }) {
        traffic.rate *= 40
      },
    }),
  },
  {
    name: 'clock of the converter behind',
    truth: ['wait clock-skew', 'deliver clock-skew'],
    why: 'a clock behind makes the one seem shorter and the other longer by the same seconds',
    missing: needsPart('gcc'),
    prepare: lab => wrongClock(lab, 'services/converter/', -skewSeconds),
  },
  {
    name: 'name server tells a wrong address',
    truth: ['receive network', 'receive dns'],
    why: 'the name is answered at once, and the address behind it is silent: the probe sees the latter',
    missing: needsRoot,
    scrapes: probeScrapes,
    prepare: lab =>
      byName(lab, names => {
        names.answer = '127.83.255.1'
      }),
  },
  {
    name: 'disk of the logs full',
    truth: ['healthy', 'healthy dependency-away'],
    why: 'photos are not slow; the log server may end for it',
    missing: needsRoot,
    prepare(lab) {
      const disk = mountDisk(lab, join(lab.dataDir, 'logs/streams'), 8 * 2 ** 20)
      return { inject: () => fill(disk) }
    },
  },
  {
    name: 'metrics of web slow to read',
    truth: ['healthy'],
    prepare: async lab => {
      const { line, environment } = await scrapedByLine(lab)
      return {
        environment,
        // A reading takes three quarters of a scrape interval, a second.
        async inject({ tintype }) {
          const metrics = await (await fetch(`${tintype.endpoints.webAdmin}/metrics`)).arrayBuffer()
          line.bytesPerSecond = metrics.byteLength / 0.75
        },
      }
    },
  },
]

export const unseen = faults.map((drill): Drill => ({ ...drill, kept: true }))
