import { readFileSync } from 'node:fs'

/**
 * Headers whose values may end in `@/FILE`, which stands for the file's content: a cluster renews a token there each
 * hour. Called for each request. @throws the file's error.
 */
export const tokenHeaders = (headers: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      value.replace(/@(\/\S+)$/, (_, file: string) => readFileSync(file, 'utf8').trim()),
    ]),
  )
