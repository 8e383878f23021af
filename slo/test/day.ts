import { type Started, startScript } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import type { ExposedSample } from '../sources/recorder/exposition.ts'
import { createStore, recorderFile } from '../sources/recorder/store.ts'

export const minutesADay = 1440
const minutesToCome = 10

type Minute = { online: boolean | null; kept: number; broken: number }

/**
 * Writes a day into a recorder's file, as scrapes of slo and converter each minute. It continues as it ended for some
 * minutes in the future, so that a page's text does not depend on how long the test takes.
 */
export function recordDay(dataDir: string, minuteOf: (before: number) => Minute): void {
  const store = createStore(
    recorderFile(dataDir),
    readDirectory().objectives.map(({ sli }) => sli),
  )
  const counts = { success: 0, failure: 0, kept: 0, broken: 0, slow: 0 }
  const end = Math.floor(Date.now() / 60_000) * 60_000
  // Two minutes more than the day, because a counter's first value counts nothing.
  for (let before = minutesADay + 2; before > -minutesToCome; before--) {
    const { online, kept, broken } = minuteOf(Math.max(1, before))
    if (online !== null) counts[online ? 'success' : 'failure'] += 4
    counts.kept += kept
    counts.broken += broken
    counts.slow += broken > 0 ? kept : 0
    if (online === null) continue
    const at = end - before * 60_000 + 45_000
    store.append({ job: 'slo', instance: 'slo:1', at, samples: probeSamples(counts) })
    const samples = [...promiseSamples(counts), ...(before < stagesShown ? stageSamples(counts) : [])]
    store.append({ job: 'converter', instance: 'converter:1', at, samples })
  }
  store.close()
}

const probeSamples = ({ success, failure }: { success: number; failure: number }): ExposedSample[] => [
  { name: 'tintype_probe_attempts_total', labels: 'outcome="success"', value: success },
  { name: 'tintype_probe_attempts_total', labels: 'outcome="failure"', value: failure },
]

const times = { receive: 0.05, wait: 0.1, convert: 0.25, store: 0.025, deliver: 0.01 }
const bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

const promiseSamples = ({ kept, broken }: { kept: number; broken: number }): ExposedSample[] => [
  { name: 'tintype_promises_total', labels: 'outcome="kept"', value: kept },
  { name: 'tintype_promises_total', labels: 'outcome="broken"', value: broken },
]

/** The page shows three hours of stages. */
const stagesShown = 200

function stageSamples({
  kept,
  broken,
  slow,
}: {
  kept: number
  broken: number
  slow: number
}): ExposedSample[] {
  const photos = kept + broken
  const stage = (name: string, seconds: number): ExposedSample[] => {
    const late = name === 'wait' ? slow + broken : 0
    const bucket = (le: number | '+Inf'): ExposedSample => ({
      name: 'tintype_stage_seconds_bucket',
      labels: `le="${le}",stage="${name}"`,
      value:
        le === '+Inf' || le >= 30
          ? photos
          : le >= seconds
            ? photos - late
            : Math.floor((photos - late) * 0.4 * (le >= seconds / 5 ? 1 : 0)),
    })
    const sum = (photos - late) * seconds * 0.7 + late * 20
    return [
      ...[...bounds, '+Inf' as const].map(bucket),
      { name: 'tintype_stage_seconds_sum', labels: `stage="${name}"`, value: sum },
      { name: 'tintype_stage_seconds_count', labels: `stage="${name}"`, value: photos },
    ]
  }
  return Object.entries(times).flatMap(([name, seconds]) => stage(name, seconds))
}

/** slo as a process. Its probe and scrapes reach no service, so it has only recorded data. */
export async function startSlo(dataDir: string, environment: Record<string, string> = {}): Promise<Started> {
  return startScript(
    'slo/main.ts',
    {
      DATA_DIR: dataDir,
      SLO_PORT: '0',
      SLO_ADMIN_PORT: '0',
      LOGS_PORT: '0',
      GRACE_SECONDS: '1',
      PROBE_URL: 'http://127.0.0.1:9',
      SCRAPE_SECONDS: '60',
      // Named as slo itself; otherwise slo would record its own failing probe.
      SCRAPE_TARGETS: 'slo.0=http://127.0.0.1:9/metrics',
      ...environment,
    },
    ['serve'],
  )
}

const traffic = (before: number) => 5 + Math.round(4 * Math.sin(before / 230))
export const days: Record<string, (before: number) => Minute> = {
  well: before => ({
    online: !(before > 1000 && before < 1003),
    kept: traffic(before),
    broken: 0,
  }),
  burning: before => ({
    online:
      before <= 14 || (before > 600 && before < 606) ? false : before > 300 && before < 304 ? null : true,
    kept: before <= 14 ? 2 : traffic(before),
    broken: before <= 14 ? 3 : 0,
  }),
}
