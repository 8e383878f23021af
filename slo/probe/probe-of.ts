import { type Directory, loadModule } from '../directory.ts'
import type { ProbeModule } from './probe.ts'
import { stepProbe } from './steps.ts'

/** The module that the directory names, or its steps; undefined when it has no probe. */
export async function probeOf({ folder, service: { probe } }: Directory): Promise<ProbeModule | undefined> {
  if (typeof probe === 'string') return loadModule<ProbeModule>(folder, probe)
  if (!probe) return undefined
  return {
    names: { attempts: 'slo_probe_attempts_total', seconds: 'slo_probe_seconds', others: [] },
    openProbe: ({ environment }) => stepProbe(probe, environment),
  }
}
