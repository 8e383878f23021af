/** Makes one measurement in a process that loads only what it needs, and prints one JSON line. */
import { readFileSync } from 'node:fs'
import { sessionNumber } from './lines.ts'

const [what, folder = '', argument = ''] = process.argv.slice(2)

async function measurePublish() {
  const { publish } = await import('@tintype/logs/daily.ts')
  const { foldersIn } = await import('@tintype/logs/files.ts')
  const start = performance.now()
  const manifest = await publish(foldersIn(folder), argument)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage()
  // Not resourceUsage().maxRSS, which on Linux starts at the peak of the parent process.
  const rssMiB = Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
  return { entries: manifest?.entries, seconds, cpuSeconds: (user + system) / 1e6, rssMiB }
}

async function measureTimeline() {
  const { foldersIn } = await import('@tintype/logs/files.ts')
  const { timeline } = await import('@tintype/logs/timeline.ts')
  const folders = foldersIn(folder)
  const measured: { ms: number; entries: number }[] = []
  for (let i = 0; i < 20; i++) {
    const start = performance.now()
    const { entries } = await timeline(folders, sessionNumber(i * 1_000))
    measured.push({ ms: performance.now() - start, entries: entries.length })
  }
  return measured
}

async function measureWrite() {
  const { createLog } = await import('@tintype/lib/telemetry/log.ts')
  const entries = Number(argument)
  const destination = { url: () => undefined, token: () => '' }
  const log = createLog({ service: 'web', instance: '0', level: 'info', journal: { folder, destination } })
  const write = (n: number) =>
    log.info(
      'photo.accepted',
      { photo: '0123456789abcdefghijklmno', n, text: '.'.repeat(110) },
      '0123456789abcdef',
    )
  for (let n = 0; n < entries / 10; n++) write(n)
  const before = process.cpuUsage()
  for (let n = 0; n < entries; n++) write(n)
  const { user, system } = process.cpuUsage(before)
  await log.close()
  return { microseconds: (user + system) / entries }
}

const measurements: Record<string, () => unknown> = {
  publish: measurePublish,
  timeline: measureTimeline,
  write: measureWrite,
}
console.log(JSON.stringify(await measurements[what ?? '']?.()))
