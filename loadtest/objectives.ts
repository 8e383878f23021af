import { readDirectory } from '../slo/directory.ts'
import { toNumber } from '../slo/math/fraction.ts'
import type { Objectives } from './k6.ts'

/** The targets of the two promises, from slo/objectives, by which a load run is judged. */
export function loadObjectives(promiseSeconds: number): Objectives {
  const targets = new Map(readDirectory().objectives.map(({ name, target }) => [name, toNumber(target)]))
  const of = (name: string): number => {
    const target = targets.get(name)
    if (target === undefined) throw new Error(`slo/objectives has no objective named ${name}`)
    return target
  }
  return { keptTarget: of('latency'), onlineTarget: of('availability'), promiseSeconds }
}
