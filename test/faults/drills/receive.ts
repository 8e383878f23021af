import { join } from 'node:path'
import type { Drill } from '../drill.ts'
import { crowdedFolder, fill, mountDisk, ownCrowd } from '../inject/disk.ts'
import { reachedByLine } from '../inject/line.ts'
import { byName } from '../inject/name-server.ts'
import { slowWhile } from '../inject/preloaded.ts'
import { limitDescriptors, slowDisk, stutter, tamper } from '../inject/processes.ts'
import { slowUploads } from '../inject/slow-uploads.ts'
import { needsPart, needsRoot } from '../missing.ts'

/** The probe makes at most one journey in 15 s, and each of its requests may take 5 s. */
export const probeScrapes = 36

export const receive: readonly Drill[] = [
  {
    name: 'event loop of web blocked',
    truth: ['receive event-loop'],
    prepare: lab => ({ inject: ({ pid }) => stutter(lab, pid('web'), 700, 1_000) }),
  },
  {
    name: 'web stops for 3 s in every 10',
    truth: ['receive event-loop'],
    scrapes: 48, // named once three windows are slow
    prepare: lab => ({ inject: ({ pid }) => stutter(lab, pid('web'), 3_000, 10_000) }),
  },
  {
    name: 'web out of descriptors',
    truth: ['receive descriptors'],
    missing: needsPart('prlimit'),
    prepare: () => ({ inject: ({ pid }) => limitDescriptors(pid('web')) }),
  },
  {
    name: 'slow client uploads',
    truth: ['receive slow-client'],
    prepare: lab => ({ inject: ({ tintype, traffic }) => slowUploads(lab, tintype.address, traffic) }),
  },
  {
    name: 'slow disk under web',
    truth: ['receive disk-latency'],
    missing: needsPart('strace'),
    prepare: lab => ({ inject: ({ pid }) => tamper(lab, pid('web'), slowDisk) }),
  },
  {
    name: 'storage full',
    truth: ['receive disk-full'],
    missing: needsRoot,
    prepare(lab) {
      const disk = mountDisk(lab, join(lab.folder, 'disk'), 2 ** 30)
      return { environment: { STORAGE_URL: `file:${disk}` }, inject: () => fill(disk) }
    },
  },
  {
    name: 'session look-up slow',
    truth: ['receive session', 'receive event-loop'],
    why: 'it is computed, not looked up: while it is slow, web’s event loop does nothing else',
    prepare: lab => slowWhile(lab, 'slow-session'),
  },
  {
    name: 'far too many files in a folder',
    truth: ['deliver file-count', 'receive event-loop'],
    why: 'their list is what deliver waits for; so many names are sorted in web’s event loop, which receive waits for',
    missing: needsRoot,
    async prepare(lab) {
      const disk = mountDisk(lab, join(lab.folder, 'disk'), 2 ** 30)
      const folder = await crowdedFolder(disk)
      return {
        environment: { STORAGE_URL: `file:${disk}` },
        inject: ({ tintype }) => ownCrowd(lab, disk, folder, tintype.address),
      }
    },
  },
  {
    name: 'way to web slow',
    truth: ['receive network'],
    scrapes: probeScrapes,
    async prepare(lab) {
      const { line, environment } = await reachedByLine(lab)
      return {
        environment,
        inject() {
          line.delayMs = 1_500
          lab.onEnd(() => {
            line.delayMs = 0
          })
        },
      }
    },
  },
  {
    name: 'name server slow',
    truth: ['receive dns'],
    kept: true,
    missing: needsRoot,
    scrapes: probeScrapes,
    prepare: lab =>
      byName(lab, names => {
        names.delayMs = 2_000
      }),
  },
  {
    name: 'name server dead',
    truth: ['receive dns'],
    missing: needsRoot,
    scrapes: probeScrapes,
    prepare: lab =>
      byName(lab, names => {
        names.delayMs = Infinity
      }),
  },
]
