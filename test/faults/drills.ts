import { join } from 'node:path'
import { photo } from '../images.ts'
import type { Drill } from './drill.ts'
import {
  eatProcessors,
  fill,
  freePort,
  freeze,
  kill,
  killAtWork,
  limitDescriptors,
  mountDisk,
  openLine,
  repeat,
  stutter,
  tamper,
} from './inject.ts'
import { needsPart, needsRoot } from './missing.ts'
import { startNameServer } from './name-server.ts'
import { badRelease } from './release.ts'
import { slowUploads } from './slow-uploads.ts'

/** What a busy disk adds to each call that waits for it. */
const slowDisk = 'fsync,fdatasync:delay_enter=600000'
/** The same for what only storage does: the queue's file is never renamed. */
const slowFolders = 'rename,mkdir:delay_enter=600000'

export const drills: readonly Drill[] = [
  {
    name: 'event loop of web blocked',
    truth: { verdict: 'receive', cause: 'event-loop' },
    prepare: lab => ({ inject: ({ pid }) => stutter(lab, pid('web'), 700) }),
  },
  {
    name: 'web out of descriptors',
    truth: { verdict: 'receive', cause: 'descriptors' },
    missing: needsPart('prlimit'),
    prepare: () => ({ inject: ({ pid }) => limitDescriptors(pid('web')) }),
  },
  {
    name: 'slow client uploads',
    truth: { verdict: 'receive', cause: 'slow-client' },
    prepare: lab => ({ inject: ({ tintype, traffic }) => slowUploads(lab, tintype.address, traffic) }),
  },
  {
    name: 'slow disk under web',
    truth: { verdict: 'receive', cause: 'disk-latency' },
    missing: needsPart('strace'),
    prepare: lab => ({ inject: ({ pid }) => tamper(lab, pid('web'), slowDisk) }),
  },
  {
    name: 'slow thumbnail store',
    truth: { verdict: 'store', cause: 'disk-latency' },
    missing: needsPart('strace'),
    prepare: lab => ({ inject: ({ pid }) => tamper(lab, pid('converter'), slowFolders) }),
  },
  {
    name: 'storage full',
    truth: { verdict: 'receive', cause: 'disk-full' },
    missing: needsRoot,
    async prepare(lab) {
      const disk = await mountDisk(lab, 2 ** 30)
      return { environment: { STORAGE_URL: `file:${disk}` }, inject: () => fill(disk) }
    },
  },
  {
    name: 'no converter',
    truth: { verdict: 'wait', cause: 'no-workers' },
    prepare: lab => ({
      inject({ tintype, pid }) {
        freeze(lab, tintype.pid) // or it would start another
        kill(pid('converter'))
      },
    }),
  },
  {
    name: 'queue stalled',
    truth: { verdict: 'wait', cause: 'queue-stalled' },
    missing: needsPart('strace'),
    prepare: lab => ({
      inject: ({ tintype, pid }) =>
        tamper(lab, pid('converter'), 'fcntl:error=EIO', join(tintype.dataDir, 'queue/queue.sqlite-shm')),
    }),
  },
  {
    name: 'one slot hung',
    truth: { verdict: 'convert', cause: 'hung-slot' },
    scrapes: 30,
    prepare: lab => ({
      inject: ({ children }) => repeat(lab, 500, () => freeze(lab, Math.min(...children()))),
    }),
  },
  {
    name: 'poison kills children',
    truth: { verdict: 'convert', cause: 'poison' },
    prepare: lab => ({ inject: ({ children }) => killAtWork(lab, children) }),
  },
  {
    name: 'memory ceiling too low',
    truth: { verdict: 'convert', cause: 'memory' },
    async prepare() {
      const { interlacedPng } = await import('./big-photos.ts')
      const large = await interlacedPng()
      return {
        environment: { CHILD_MEMORY_BYTES: String(200 * 2 ** 20) },
        inject({ traffic }) {
          traffic.images = [large]
          traffic.contentType = 'image/png'
        },
      }
    },
  },
  {
    name: 'burst of huge photos',
    truth: { verdict: 'convert', cause: 'big-inputs' },
    aside: true,
    async prepare() {
      const huge = await photo(9000, 7000, 5)
      return {
        inject({ traffic }) {
          traffic.images = [huge]
        },
      }
    },
  },
  {
    name: 'another process eats the processors',
    truth: { verdict: 'convert', cause: 'cpu' },
    prepare: lab => ({ inject: () => eatProcessors(lab) }),
  },
  {
    name: 'bad release of the converter',
    truth: { verdict: 'convert', cause: 'release' },
    prepare: badRelease,
  },
  {
    name: 'way to web slow',
    truth: { verdict: 'receive', cause: 'network' },
    scrapes: 36,
    async prepare(lab) {
      const port = await freePort()
      const line = await openLine(lab, () => `http://127.0.0.1:${port}`)
      return {
        environment: { WEB_PORT: String(port), PROBE_URL: line.url },
        inject() {
          line.delayMs = 1_500
        },
      }
    },
  },
  {
    name: 'name server slow',
    truth: { verdict: 'receive', cause: 'dns' },
    aside: true,
    missing: needsRoot,
    scrapes: 36,
    async prepare(lab) {
      const [names, port] = [await startNameServer(lab), await freePort()]
      return {
        under: names.under,
        environment: { WEB_PORT: String(port), PROBE_URL: `http://tintype.test:${port}` },
        inject() {
          names.delayMs = 2_000
        },
      }
    },
  },
  {
    name: 'log server away',
    truth: { verdict: 'healthy', cause: 'dependency-away' },
    prepare: lab => ({ inject: ({ pid }) => freeze(lab, pid('logs')) }),
  },
  {
    name: 'metrics away',
    truth: { verdict: 'unknown', cause: null },
    async prepare(lab) {
      const [web, converter] = [await freePort(), await freePort()]
      const line = await openLine(lab, () => `http://127.0.0.1:${web}`)
      return {
        environment: {
          WEB_ADMIN_PORT: String(web),
          CONVERTER_ADMIN_PORT: String(converter),
          SCRAPE_TARGETS: `web=${line.url}/metrics,converter=http://127.0.0.1:${converter}/metrics`,
        },
        inject() {
          line.cut()
        },
      }
    },
  },
  {
    name: 'traffic doubled and all well',
    truth: { verdict: 'healthy', cause: null },
    prepare: () => ({
      inject({ traffic }) {
        traffic.rate *= 2
      },
    }),
  },
  {
    name: 'a night without traffic',
    truth: { verdict: 'healthy', cause: null },
    aside: true,
    quiet: true,
    prepare: () => ({ inject() {} }),
  },
  {
    name: 'slow disk and a slow way at once',
    truth: { verdict: 'receive', cause: 'slow-client', also: 'store' },
    missing: needsPart('strace'),
    prepare: lab => ({
      async inject({ tintype, traffic, pid }) {
        await tamper(lab, pid('converter'), slowFolders)
        slowUploads(lab, tintype.address, traffic)
      },
    }),
  },
]
