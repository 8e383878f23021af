import type { Life } from '../../../slo/test/incident.ts'
import { calm, type World } from '../../../slo/test/world.ts'
import type { Said } from '../drill.ts'

/** A simulated service with a fault, on a simulated clock, and the right verdict at some minutes. */
export type SimulatedDrill = {
  name: string
  /** The right answers; several only with a reason. */
  truth: readonly Said[]
  why?: string
  /** Diagnose was developed without it. */
  kept?: true
  /** The minutes at which diagnose is asked. */
  minutes: readonly number[]
  /** The process that must be named. */
  instance?: string
  life: Omit<Life, 'seconds' | 'stepMs' | 'startMs'>
}

const usual = calm()
const hour = 60
/** How long each fault lasts when diagnose is asked, after three hours without one. */
const lasting = [3, 10, 45, 52, 65, 240]
const since = (minutes: readonly number[]) => minutes.map(minute => 3 * hour + minute)

/** A normal world until a minute, and another one after it. */
const from =
  (minute: number, changes: Partial<World>, before: Partial<World> = {}) =>
  (second: number): Partial<World> => ({ ...before, ...(second > minute * 60 ? changes : {}) })

const slowPuts = (seconds: number): Partial<World> => ({
  put: { web: usual.put.web, converter: seconds },
  queue: { web: usual.queue.web, converter: usual.queue.converter + seconds / 2 },
})

/** A day of traffic without a fault: almost none at night, two peaks, photos that grow and shrink. */
const dayOf =
  (peak: number, shift: number) =>
  (second: number): Partial<World> => {
    const hours = second / 3600 + shift
    const wave = (1 - Math.cos((hours / 12) * Math.PI)) / 2 + (1 - Math.cos((hours / 6) * Math.PI)) / 6
    return {
      photosASecond: Math.max(0.02, (peak * wave) / 1.2),
      pixels: usual.pixels * (0.8 + 0.4 * Math.sin(hours / 3)),
    }
  }
const eachHalfHour = Array.from({ length: 39 }, (_, i) => 30 * (i + 1) + 20)

/** Only the probe uploads; then converters claim nothing for 75 s, and a person uploads a photo of a phone. */
const firstPhoto = (second: number): Partial<World> => ({
  photosASecond: 1 / 15,
  pixels: second > 20 * 60 ? usual.pixels : 3072,
  claims: second < 20 * 60 || second > 21.25 * 60,
})

const known: readonly SimulatedDrill[] = [
  {
    name: 'simulated: a halted converter and a first large photo',
    truth: ['wait queue-stalled'],
    minutes: [21, 22],
    life: { world: firstPhoto },
  },
  {
    name: 'simulated: a slow store that breaks promises',
    truth: ['store disk-latency'],
    minutes: since(lasting),
    life: { world: from(180, slowPuts(1.2)) },
  },
  {
    name: 'simulated: a slow store that breaks no promise',
    truth: ['store disk-latency'],
    minutes: since(lasting),
    life: { world: from(180, slowPuts(0.15)) },
  },
  {
    name: 'simulated: a disk 96 % full that fills up',
    truth: ['receive disk-full'],
    minutes: since([3, 20, 65]),
    life: {
      world: from(
        180,
        { disk: { free: 0, files: 1e6 }, failing: { ...usual.failing, uploads: 1 } },
        { disk: { free: 4e8, files: 1e6 } },
      ),
    },
  },
  {
    name: 'simulated: processors taken, half an hour after a slow store was mended',
    truth: ['convert cpu'],
    minutes: since([93, 120, 170]),
    life: {
      world: second => ({
        ...(second > 180 * 60 && second <= 220 * 60 ? slowPuts(1.2) : {}),
        ...(second > 270 * 60 ? { stolen: 6 } : {}),
      }),
    },
  },
  {
    name: 'simulated: one of three converters hung',
    truth: ['convert hung-slot'],
    minutes: since([3, 65]),
    instance: 'b',
    life: {
      world: () => ({}),
      converters: [() => ({}), from(180, { hung: 1 }), () => ({})],
    },
  },
  {
    name: 'simulated: one of three converters away',
    truth: ['healthy dependency-away'],
    minutes: since([3, 65]),
    instance: 'c',
    life: {
      world: () => ({}),
      converters: [() => ({}), () => ({}), from(180, { converterUp: false })],
    },
  },
  {
    name: 'simulated: twenty healthy hours',
    truth: ['healthy'],
    minutes: eachHalfHour,
    life: { world: dayOf(12, 0), byChance: true },
  },
  {
    name: 'simulated: one of four converters reads its originals slowly',
    truth: ['convert disk-latency'],
    minutes: since([3, 65]),
    instance: 'd',
    life: {
      world: () => ({ photosASecond: 4 }),
      converters: [() => ({}), () => ({}), () => ({}), from(180, { get: { ...usual.get, converter: 0.4 } })],
    },
  },
  {
    name: 'simulated: twenty healthy hours with little traffic and a crowd at noon',
    truth: ['healthy'],
    minutes: eachHalfHour,
    life: {
      world: second => ({
        ...dayOf(1.5, 5)(second),
        ...(second > 42_000 && second < 47_000 ? { photosASecond: 9 } : {}),
      }),
      byChance: true,
    },
  },
]

const aside: readonly SimulatedDrill[] = [
  {
    name: 'simulated: a slow release while a store is slow, which is then mended',
    truth: ['convert release'],
    minutes: since([75, 120]),
    life: {
      world: second => ({
        ...(second > 180 * 60 && second <= 240 * 60 ? slowPuts(1.2) : {}),
        ...(second > 230 * 60 ? { cpuPerPixel: usual.cpuPerPixel * 6, version: '2.0.0' } : {}),
      }),
    },
  },
  {
    name: 'simulated: a slow S3',
    truth: ['store network'],
    minutes: since(lasting),
    life: { world: from(180, slowPuts(0.9), { storage: 's3' }) },
  },
  {
    name: 'simulated: a release that is twice as slow, with the restart that it came by',
    truth: ['convert release'],
    minutes: since([3, 15, 90]),
    life: {
      world: from(180, {
        cpuPerPixel: usual.cpuPerPixel * 2,
        version: '2.0.0',
        webRestartsEverySeconds: 180 * 60,
      }),
    },
  },
  {
    name: 'simulated: a service that starts on a full disk',
    truth: ['receive disk-full'],
    minutes: [2, 6],
    life: {
      world: () => ({ disk: { free: 0, files: 1e6 }, failing: { ...usual.failing, uploads: 1 } }),
    },
  },
  {
    name: 'simulated: a service that starts without converters',
    truth: ['wait no-workers'],
    minutes: [2, 6],
    life: { world: () => ({ converterUp: false }) },
  },
  {
    name: 'simulated: a queue that is locked for two hours',
    truth: ['wait queue-stalled'],
    minutes: since([3, 65, 115]),
    life: { world: from(180, { queue: { ...usual.queue, converter: 2 } }) },
  },
  {
    name: 'simulated: twenty healthy hours with batches of large photos',
    truth: ['healthy'],
    minutes: eachHalfHour,
    life: {
      world: second => ({
        photosASecond: 3 + 2 * Math.sin(second / 9_000),
        pixels: usual.pixels * (Math.floor(second / 1_700) % 3 === 0 ? 1.3 : 1),
      }),
      byChance: true,
      seed: 23,
    },
  },
]

export const simulated: readonly SimulatedDrill[] = [
  ...known,
  ...aside.map((drill): SimulatedDrill => ({ ...drill, kept: true })),
]
