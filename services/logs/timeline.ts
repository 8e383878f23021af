import { limits } from '@tintype/lib/limits.ts'
import type { Folders } from './daily.ts'
import { type Entry, type Story, timeOf } from './page/api.ts'
import { knownDays, linesOf } from './search.ts'

export type Timeline = Pick<Story, 'key' | 'entries' | 'cut'>

export const isKey = (text: string): boolean => /^[0-9a-z]{8,64}$/.test(text)

/** Every entry that names a session, a photo or a trace, of all services, in order. `day`: of this UTC day only. */
export async function timeline(folders: Folders, key: string, day?: string): Promise<Timeline> {
  const lines: Buffer[] = []
  let bytes = 0
  for (const each of day === undefined ? knownDays(folders) : [day])
    for await (const line of linesOf(folders, each, `"${key}"`, key)) {
      bytes += line.length
      // A person reads a timeline: more entries would not help.
      if (lines.length === limits.timelineEntries.value || bytes > limits.timelineBytes.value)
        return { key, entries: inOrder(lines), cut: true }
      lines.push(line)
    }
  return { key, entries: inOrder(lines), cut: false }
}

/** `service.instance.epoch` and the sequence number. */
export function splitId(id: string): { stream: string; seq: number } {
  const dot = id.lastIndexOf('.')
  return { stream: id.slice(0, dot), seq: Number(id.slice(dot + 1)) }
}

/** As in a published day: effective time, stream, sequence number. */
function inOrder(lines: Buffer[]): Entry[] {
  const keyed = lines.map(line => {
    const entry: Entry = JSON.parse(line.toString())
    return { entry, ms: timeOf(entry), ...splitId(entry.id) }
  })
  const byStream = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  keyed.sort((a, b) => a.ms - b.ms || byStream(a.stream, b.stream) || a.seq - b.seq)
  return keyed.map(({ entry }) => entry)
}
