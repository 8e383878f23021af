import { diagnose } from '../../slo/diagnose/diagnose.ts'
import { readBurning } from '../../slo/diagnose/incidents.ts'
import { readDirectory } from '../../slo/directory.ts'
import type { Series } from '../../slo/sources/index.ts'
import { live } from '../../slo/test/incident.ts'
import { samplesSource } from '../../slo/test/samples-source.ts'
import type { SimulatedDrill } from './drills/simulated.ts'
import type { Finding } from './score.ts'

const stepMs = 15_000
const startMs = Date.UTC(2026, 10, 20)

/** Asks diagnose at each of a drill's minutes; what comes later it has not seen. */
export async function runSimulated(drill: SimulatedDrill): Promise<Finding[]> {
  const { service, objectives } = readDirectory()
  const all = live({ ...drill.life, seconds: Math.max(...drill.minutes) * 60, stepMs, startMs })
  const findings: Finding[] = []
  for (const minute of drill.minutes) {
    const start = performance.now()
    const atMs = startMs + minute * 60_000
    const series = until(all, atMs)
    const burning = await readBurning(sourceOf(series), objectives, atMs, 1)
    const verdict = diagnose(service, series, { atMs, stepMs, days: 1, burning })
    findings.push({
      drill: `${drill.name}, minute ${minute}`,
      kept: drill.kept ?? false,
      truth: drill.truth,
      ...(drill.instance && { instance: drill.instance }),
      verdict,
      seconds: (performance.now() - start) / 1000,
    })
  }
  return findings
}

const until = (series: readonly Series[], atMs: number): Series[] =>
  series.map(each => ({ ...each, points: each.points.filter(({ at }) => at <= atMs) }))

const sourceOf = (series: readonly Series[]) =>
  samplesSource({
    name: '',
    minutes: 0,
    series: series
      .filter(({ name }) => /_(promises|attempts)_total$/.test(name))
      .map(({ name, labels, points }) => ({
        metric: name,
        labels,
        samples: points.map(({ at, value }) => ({ timeMs: at, value })),
      })),
  })
