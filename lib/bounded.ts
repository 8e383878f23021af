import { countLimit, limits } from './limits.ts'

/** Sets an entry, and removes the oldest above `remembered` entries, so that memory does not grow with visitors. */
export function setBounded<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limits.remembered.value) return
  map.delete(map.keys().next().value as K)
  countLimit('remembered')
}
