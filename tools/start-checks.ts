import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, variables } from '@tintype/lib/variables.ts'
import { socketIn, wasKilled } from './control.ts'

/** `KEEP_PHOTO_DAYS` has the letters of `KEEP_PHOTOS_DAYS`, but for underscores and the s of a plural. */
const lettersOf = (name: string): string => name.replaceAll(/_|S(?=_|$)/g, '')

/** Variables of the environment that nothing reads and whose names are nearly those of known ones. */
export function misspelt(environment: NodeJS.ProcessEnv): string[] {
  const known = Map.groupBy(Object.keys(variables), lettersOf)
  return Object.keys(environment)
    .filter(name => !(name in variables))
    .flatMap(name => {
      const meant = known.get(lettersOf(name))
      return meant ? `${name} has no effect: the variable’s name is ${meant.join(' or ')}` : []
    })
}

const isPort = (name: string): name is keyof Config & `${string}_PORT` => name.endsWith('_PORT')

/** Finds ports that are used twice or by another program, which would cause an endless loop of restarts. */
async function checkPorts(config: Config): Promise<string[]> {
  const taken = new Map<number, string>()
  const problems: string[] = []
  for (const name of Object.keys(config).filter(isPort)) {
    const port = config[name]
    const other = taken.get(port)
    const host = name.endsWith('_ADMIN_PORT') ? config.ADMIN_HOST : config.HOST
    if (port === 0) continue
    taken.set(port, name)
    const problem = other ? `${other} has the same port` : await whyNotFree(host, port)
    if (problem)
      problems.push(`  ${name}=${port} cannot be used: ${problem}; choose another, or 0 for any free port`)
  }
  return problems
}

/** The problem that passes when the services of a killed launcher have ended. */
const inUse = 'another program has it'

function whyNotFree(host: string, port: number): Promise<string | undefined> {
  const answer = Promise.withResolvers<string | undefined>()
  const server = createServer()
  const reasons: Record<string, string> = {
    EADDRINUSE: `${inUse} on ${host}`,
    EACCES: 'only root may use it',
    EADDRNOTAVAIL: `${host} is not an address of this machine`,
    ENOTFOUND: `${host} has no address`,
  }
  server.once('error', ({ code = '' }: NodeJS.ErrnoException) => answer.resolve(reasons[code] ?? code))
  server.listen(port, host, () => server.close(() => answer.resolve(undefined)))
  return answer.promise
}

/** What is wrong with the ports. Services of a killed launcher, which finish their requests, have up to `waitMs` to end. */
export async function portProblems(config: Config, waitMs: number): Promise<string[]> {
  const deadline = performance.now() + waitMs
  let problems = await checkPorts(config)
  const mayPass = () =>
    problems.length > 0 && problems.every(each => each.includes(inUse)) && wasKilled(config.DATA_DIR)
  if (mayPass())
    console.error(
      'launcher: waits for the services of a launcher that was killed: they finish their requests',
    )
  while (mayPass() && performance.now() < deadline) {
    await sleep(200)
    problems = await checkPorts(config)
  }
  const isRunning = existsSync(socketIn(config.DATA_DIR) ?? '') && !wasKilled(config.DATA_DIR)
  if (problems.length > 0 && isRunning)
    problems.unshift(
      `  a service already runs on DATA_DIR=${config.DATA_DIR}: stop it, or set another DATA_DIR and ports`,
    )
  return problems
}
