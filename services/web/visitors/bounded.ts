import { countLimit, limits } from '@tintype/lib/limits.ts'

/** Remembers in a map that forgets its oldest entries: what a process keeps of its visitors must not grow with them. */
export function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limits.remembered.value) return
  map.delete(map.keys().next().value as K)
  countLimit('remembered')
}
