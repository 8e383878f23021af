/** Segments of [A-Za-z0-9._-], up to 255 characters, separated by `/`; none starts with a dot. At most 1024 in all. */
export type Key = string

export const isStorageKey = (text: Key): boolean =>
  text.length <= 1024 &&
  text.split('/').every(segment => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(segment))

/** @throws Error when it is not a key, so that input from outside can only name keys. */
export function checkKey(key: Key): Key {
  if (!isStorageKey(key)) throw new Error(`"${key}" is not a storage key`)
  return key
}

/** @throws Error when it is not a key followed by `/`. */
export function checkPrefix(prefix: Key): Key {
  if (!prefix.endsWith('/')) throw new Error(`storage prefix "${prefix}" must end in /`)
  checkKey(prefix.slice(0, -1))
  return prefix
}
