import { once } from 'node:events'
import { createServer } from 'node:net'

const maxTries = 100

/**
 * A port that is free now: for programs that cannot say which one they took, and for those that come back to theirs. It
 * lies below the ports that the system gives to connections and for port 0, which could take it meanwhile.
 */
export async function freePort(): Promise<number> {
  for (let tries = 1; tries <= maxTries; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error(`of ${maxTries} ports from 10000 to 29999 none was free`)
}
