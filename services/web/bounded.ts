import { limits } from '@tintype/lib/limits.ts'
import type { Metrics } from '@tintype/lib/telemetry/metrics.ts'

/** Remembers in a map that forgets its oldest entries: what a process keeps of its visitors must not grow with them. */
export function remember<K, V>(metrics: Metrics, map: Map<K, V>, key: K, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limits.remembered.value) return
  map.delete(map.keys().next().value as K)
  metrics.increment('tintype_limit_reached_total', { limit: 'remembered' })
}
