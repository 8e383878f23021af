import { type Diagnosed, median, readings } from './stages.ts'
import type { View } from './view.ts'

/** Where each stage is worked on, and its time measured. */
const stagesOf: Readonly<Record<string, readonly Diagnosed[]>> = {
  web: ['receive', 'deliver'],
  converter: ['convert', 'store'],
}
/** One takes so many times what the others of its service do. */
const slowRatio = 2

/**
 * Of a service that runs several times: each process that is away, or slower than the others. A stage's mean over all of
 * them hides one of many, and one that is away is no slowness while the others do its work.
 */
export function oddReplicas(now: View): string[] {
  return now.values('up', 'job').flatMap(job => {
    const all = instancesOf(now, job)
    const isUp = (instance: string) => (now.gauge('up', { job, instance }) ?? 0) >= 0.5
    const up = all.filter(isUp)
    if (all.length < 2 || up.length === 0) return []
    const away = all.filter(instance => !isUp(instance)).map(instance => `${job} ${instance} is away`)
    return [...away, ...(stagesOf[job] ?? []).flatMap(stage => slow(now, job, stage, up))]
  })
}

const instancesOf = (now: View, job: string): string[] =>
  now.values('up', 'instance').filter(instance => now.gauge('up', { job, instance }) !== null)

function slow(now: View, job: string, stage: Diagnosed, instances: readonly string[]): string[] {
  const floor = readings.find(each => each.stage === stage)?.floorSeconds ?? 0
  const took = instances.flatMap(instance => {
    const seconds = now.mean('tintype_stage_seconds', { stage, job, instance })
    return seconds === null ? [] : [{ instance, seconds }]
  })
  return took.flatMap(({ instance, seconds }) => {
    const others = took.filter(each => each.instance !== instance)
    const usual = median(others.map(each => each.seconds))
    return others.length > 0 && seconds > usual * slowRatio && seconds - usual > floor
      ? [
          `${job} ${instance} is slow in ${stage}: ${seconds.toFixed(2)} s a photo, the others ${usual.toFixed(2)} s`,
        ]
      : []
  })
}
