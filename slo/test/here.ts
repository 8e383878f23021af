import { vi } from 'vitest'
import type { Ended } from '../../test/support.ts'
import { main } from '../cli/command.ts'

/** Runs `slo` in this process, which has its modules loaded: a process of its own takes half a second of processor time. */
export async function sloHere(environment: Record<string, string>, ...args: string[]): Promise<Ended> {
  let [out, err] = ['', '']
  const written = (take: (text: string) => void) => (chunk: unknown) => {
    take(String(chunk))
    return true
  }
  const spies = [
    vi.spyOn(console, 'log').mockImplementation(text => {
      out += `${text}\n`
    }),
    vi.spyOn(process.stdout, 'write').mockImplementation(
      written(text => {
        out += text
      }),
    ),
    vi.spyOn(process.stderr, 'write').mockImplementation(
      written(text => {
        err += text
      }),
    ),
  ]
  const streams = [process.stdout, process.stderr]
  const before = streams.map(stream => stream.listeners('error'))
  try {
    const code = await main({ PATH: process.env.PATH, ...environment }, args)
    return { code, out, err }
  } finally {
    for (const spy of spies) spy.mockRestore()
    for (const [i, stream] of streams.entries())
      for (const each of stream.listeners('error'))
        if (!before[i]?.includes(each)) stream.removeListener('error', each as () => void)
  }
}
