import { readText } from '@tintype/lib/disk.ts'

/**
 * Headers whose values may end in `@/FILE`, which stands for the file's content: a cluster renews a token there each
 * hour. Called for each request. @throws the file's error.
 */
export function tokenHeaders(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  const contentOf = (_: string, file: string) => readText(file).trim()
  const all = Object.entries(headers).map(([name, value]) => [name, value.replace(/@(\/\S+)$/, contentOf)])
  return Object.fromEntries(all)
}
