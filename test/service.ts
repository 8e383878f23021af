import { startService } from '../tools/service.ts'
import { childrenOf, descendantsOf, type Process, processes } from './processes.ts'
import { until } from './support.ts'

/** The whole service under its launcher, as `npm start` runs it. */
export type Tintype = {
  pid: number
  dataDir: string
  /** The web's address. */
  address: string
  endpoints: Record<string, string>
  /** What the launcher and the services wrote to standard error so far. */
  stderr: () => string
  /** The running process of a service, or undefined while it is down. */
  process(service: 'web' | 'converter' | 'logs' | 'slo'): Process | undefined
  /** Closes its channel to this process, as the end of this process does. */
  leave(): void
  /** Ends it with all of its processes, and gives the launcher's exit code; null when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Like `startService`, with more for tests. */
export async function startTintype(...args: Parameters<typeof startService>): Promise<Tintype> {
  const { launcher, endpoints, stderr, stop } = await startService(...args)
  const pid = launcher.pid as number
  return {
    pid,
    dataDir: args[0],
    address: endpoints.web ?? '',
    endpoints,
    stderr,
    process: service => childrenOf(pid).find(({ command }) => command.includes(`${service}/main.ts`)),
    leave: () => launcher.disconnect(),
    async stop(signal) {
      const before = descendantsOf(pid)
      const code = await stop(signal)
      // Those of a killed launcher end a moment later, and write into the folder until then.
      const left = () => processes().filter(each => before.some(({ pid }) => pid === each.pid))
      await until(() => left().length === 0, {
        what: `the end of all processes of ${pid}`,
      })
      return code
    },
  }
}
