import { join } from 'node:path'
import { photo } from '../../images.ts'
import type { Drill } from '../drill.ts'
import { interlacedPng } from '../inject/photos.ts'
import { slowWhile, wrongClock } from '../inject/preloaded.ts'
import { eatProcessors, freeze, kill, killTheLarge, repeat, tamper } from '../inject/processes.ts'
import { releaseOf } from '../inject/release.ts'
import { slowUploads } from '../inject/slow-uploads.ts'
import { needsPart } from '../missing.ts'

/** A clock error that is larger than the queue's age ever is here. */
export const skewSeconds = 12

export const convert: readonly Drill[] = [
  {
    name: 'no converter',
    truth: ['wait no-workers'],
    prepare: lab => ({
      inject({ tintype, pid }) {
        freeze(lab, tintype.pid) // or it would start another
        kill(pid('converter'))
      },
    }),
  },
  {
    name: 'queue stalled',
    truth: ['wait queue-stalled'],
    missing: needsPart('strace'),
    prepare: lab => ({
      inject: ({ pid }) =>
        tamper(lab, pid('converter'), 'fcntl:error=EIO', join(lab.dataDir, 'queue/queue.sqlite-shm')),
    }),
  },
  {
    name: 'clock of the converter ahead',
    truth: ['wait clock-skew'],
    missing: needsPart('gcc'),
    prepare: lab => wrongClock(lab, 'services/converter/', skewSeconds),
  },
  {
    name: 'one slot hung',
    truth: ['convert hung-slot'],
    scrapes: 30,
    prepare: lab => ({
      inject: ({ children }) => repeat(lab, 500, () => freeze(lab, Math.min(...children()))),
    }),
  },
  {
    name: 'poison kills children',
    truth: ['convert poison'],
    alone: true,
    async prepare(lab) {
      const poison = await interlacedPng()
      return {
        inject({ traffic, children }) {
          traffic.images = [...traffic.images, poison]
          killTheLarge(lab, children)
        },
      }
    },
  },
  {
    name: 'memory ceiling too low',
    truth: ['convert memory'],
    alone: true,
    async prepare() {
      const large = await interlacedPng()
      return {
        // Typical photos take 100 MB, the large one 170.
        environment: { CHILD_MEMORY_BYTES: String(130 * 2 ** 20) },
        inject({ traffic }) {
          traffic.images = [large]
        },
      }
    },
  },
  {
    name: 'burst of huge photos',
    truth: ['convert big-inputs'],
    kept: true,
    alone: true,
    async prepare(lab) {
      const huge = await photo(9000, 7000, 5)
      return {
        inject({ traffic }) {
          const { images } = traffic
          traffic.images = [huge]
          lab.onEnd(() => {
            traffic.images = images
          })
        },
      }
    },
  },
  {
    name: 'another process eats the processors',
    truth: ['convert cpu'],
    alone: true,
    prepare: lab => ({ inject: () => eatProcessors(lab) }),
  },
  {
    name: 'bad release of the converter',
    truth: ['convert release'],
    alone: true,
    prepare: releaseOf([
      ['package.json', /"version": "[^"]+"/, '"version": "99.0.0"'],
      [
        'services/converter/child.ts',
        'const conversion = await convert(',
        'for (let extra = 0; extra < 2; extra++) await convert(bytes, sizes, maxPixels)\n    const conversion = await convert(',
      ],
    ]),
  },
  {
    name: 'slow thumbnail store',
    truth: ['store disk-latency'],
    prepare: lab => slowWhile(lab, 'slow-store'),
  },
  {
    name: 'slow thumbnail store and slow uploads at once',
    // Waiting for slow storage counts for store: it takes two thirds of the time.
    truth: ['store disk-latency also receive'],
    prepare(lab) {
      const store = slowWhile(lab, 'slow-store')
      return {
        ...store,
        inject(running) {
          store.inject(running)
          slowUploads(lab, running.tintype.address, running.traffic)
        },
      }
    },
  },
  {
    name: 'events stalled',
    truth: ['deliver delivery'],
    prepare: lab => slowWhile(lab, 'stalled-events'),
  },
]
