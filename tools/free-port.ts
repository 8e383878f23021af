import { once } from 'node:events'
import { createServer } from 'node:net'

const maxTries = 100

/**
 * A free port, for programs that cannot report their port or must return to it after a restart. It is below the ports
 * that the system uses for connections and port 0, so that the system does not take it meanwhile.
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
  throw new Error(`none of ${maxTries} ports from 10000 to 29999 was free`)
}
