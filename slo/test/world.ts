/** A service as a few numbers, from which all metrics are computed, for the tests of diagnose. */
export type World = {
  photosASecond: number
  pixels: number
  cpuPerPixel: number
  /** Number of processes that share a core with a conversion; 1: no other one. */
  stolen: number
  /** Share of web's runnable time in which it waits for a processor or collects garbage. */
  starved: number
  garbage: number
  /** Share of time in which what runs waits for memory. */
  swapping: number
  format: string
  version: string
  probe: { dns: number; connect: number; tls: number; processing: number }
  body: number
  storage: 'fs' | 's3'
  engine: 'sqlite' | 'postgres'
  put: { web: number; converter: number }
  get: { web: number; converter: number }
  /** No write ends. */
  diskStands: boolean
  /** Seconds of each listing of storage; 0: no listing. */
  list: number
  /** The queue's own calls. */
  queue: { web: number; converter: number }
  session: number
  /** Time lost between the probe and web. */
  lost: number
  /** Failing shares: of uploads, of the converter's calls to storage, of both services' calls to the queue. */
  failing: { uploads: number; storage: number; queue: number }
  /** The share of uploads that web refuses for load. */
  refused: number
  /** The phase in which failing journeys of the probe end. */
  probeDies: string | null
  slots: number
  hung: number
  disk: { free: number; files: number }
  descriptors: number
  webUp: boolean
  /** Whether web answers scrapes while it runs. */
  webScraped: boolean
  /** Epoch seconds. */
  webStarted: number
  /** 0: no restarts. */
  webRestartsEverySeconds: number
  converterStarted: number
  lag: { web: number; converter: number }
  eventLag: number
  unexplained: number
  claims: boolean
  converterUp: boolean
  logsUp: boolean
  metricsUp: boolean
  /** Difference of the converter's clock from web's. */
  skewSeconds: number
  crashes: number
  outOfMemory: number
  /** Processes a second, of any program, that the kernel kills because memory ran out. */
  oomKills: number
}

export const calm = (): World => ({
  photosASecond: 8,
  pixels: 12e6,
  cpuPerPixel: 5e-9,
  stolen: 1,
  starved: 0.05,
  garbage: 0.02,
  swapping: 0,
  format: 'jpeg',
  version: '1.0.0',
  probe: { dns: 0.001, connect: 0.001, tls: 0, processing: 0.02 },
  body: 0.01,
  storage: 'fs',
  engine: 'sqlite',
  put: { web: 0.004, converter: 0.004 },
  get: { web: 0.002, converter: 0.002 },
  diskStands: false,
  list: 0,
  queue: { web: 0.002, converter: 0.002 },
  session: 0.0001,
  lost: 0.002,
  failing: { uploads: 0, storage: 0, queue: 0 },
  refused: 0,
  probeDies: null,
  slots: 2,
  hung: 0,
  disk: { free: 5e9, files: 1e6 },
  descriptors: 0.05,
  webUp: true,
  webScraped: true,
  webStarted: 0,
  webRestartsEverySeconds: 0,
  converterStarted: 0,
  lag: { web: 0.012, converter: 0.012 },
  eventLag: 0.01,
  unexplained: 0,
  claims: true,
  converterUp: true,
  logsUp: true,
  metricsUp: true,
  skewSeconds: 0,
  crashes: 0,
  outOfMemory: 0,
  oomKills: 0,
})
