import type pg from 'pg'
import { ConfigError } from '../config.ts'
import { countLimit } from '../limits.ts'
import { type Engine, type Limits, limitsOf, type NewEvent } from './engine.ts'
import { queueOn, type Run } from './port.ts'
import { openBell } from './postgres-bell.ts'
import { openClock, type ServerClock } from './postgres-clock.ts'
import { type Lane, openLane, type Write } from './postgres-lane.ts'
import { type Link, noAnswer, openLink } from './postgres-link.ts'
import { isRead, run, runNamed, runUnnamed } from './postgres-run.ts'
import { assertKeeps, migrate, type Standing, session, standing } from './postgres-schema.ts'
import { type Ask, parserOf, statement } from './postgres-statement.ts'
import type { OpenOptions, Queue } from './queue.ts'
import type { PostgresAddress } from './queue-url.ts'

/** A migration may have to rewrite a table. */
const migrationMs = 60_000
const purgeEveryMs = 10_000

/**
 * The queue in a schema of a PostgreSQL database. Connections are made again by themselves. While the server is away calls
 * fail at once, and the process goes on.
 */
export async function openPostgres(address: PostgresAddress, options: OpenOptions = {}): Promise<Queue> {
  const links: Link[] = []
  try {
    return await openOn(address, options, links)
  } catch (cause) {
    await Promise.all(links.map(link => link.close()))
    const What = cause instanceof ConfigError ? ConfigError : Error
    throw new What(`queue "${address.name}": ${(cause as Error).message}`, { cause })
  }
}

async function openOn(address: PostgresAddress, options: OpenOptions, links: Link[]): Promise<Queue> {
  const clock = openClock()
  const connect: Connect = (exclusive, prepare) => {
    const link = openLink({ ...connection(address, options, clock, prepare), exclusive })
    links.push(link)
    return link
  }
  const writing = { enqueues: connect(true), claims: connect(true), others: connect(true) }
  const reading = connect(false)
  await writing.others.use(client => migrate(client, address.schema), migrationMs)
  const { doorbell, ring } = await openBell(prepare => connect(false, prepare), address.schema, clock)

  const limits = limitsOf(options)
  const lanes = openLanes(writing, limits, clock, ring)
  const read = (write: Write) =>
    reading.use(client =>
      run(
        engineOn(limits, [], query => client.query(query), clock.now),
        write,
      ),
    )
  const call: Run = async (method, args) => {
    try {
      return await (isRead(method) ? read : lanes.write)({ method, args })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === noAnswer) countLimit('queueAnswer')
      throw error
    }
  }
  return queueOn(call, doorbell, options, {
    now: clock.now,
    numbersEarly: true,
    async close() {
      await lanes.close()
      await Promise.all(links.map(link => link.close()))
    },
  })
}

type Connect = (exclusive: boolean, prepare?: (client: pg.Client) => Promise<void>) => Link

/** Makes a connection; `then` prepares it for its use. */
function connection(
  { connectionString, schema }: PostgresAddress,
  { acceptLoss = false }: OpenOptions,
  clock: ServerClock,
  then: (client: pg.Client) => Promise<void> = async () => {},
) {
  const settings: pg.ClientConfig = {
    connectionString,
    fallback_application_name: 'tintype',
    keepAlive: true,
    pipeline: true,
    types: { getTypeParser: parserOf },
  }
  const prepare = async (client: pg.Client) => {
    const answers = await client.query(`SET search_path TO "${schema}"; ${session}; ${standing}`)
    const server = (answers as unknown as pg.QueryResult<Standing>[]).at(-1)?.rows[0] as Standing
    clock.heard(server.now)
    assertKeeps(server, acceptLoss)
    await then(client)
  }
  return { settings, prepare }
}

const engineOn = (limits: Limits, events: NewEvent[], ask: Ask, clock: () => number): Engine => ({
  sql: text => statement(ask, text),
  emit: event => events.push(event),
  clock,
  limits,
  depth: null,
  sweptAt: null,
  hasNews: false,
})

/** Operations that change rows which they do not name. */
const unnamed = new Set<Write['method']>(['claim', 'renew', 'expireDead', 'purge'])

function openLanes(
  links: Record<'enqueues' | 'claims' | 'others', Link>,
  limits: Limits,
  { now, heard }: ServerClock,
  ring: () => void,
) {
  const lane = (link: Link, runAll: typeof runNamed): Lane =>
    openLane({
      link,
      runAll,
      heard,
      ring,
      engineOn: (events, ask) => engineOn(limits, events, ask, now),
    })
  // All enqueues of a process share one lane, which counts them: only other processes can exceed the queue's limit.
  const enqueues = lane(links.enqueues, runNamed)
  const claims = lane(links.claims, runUnnamed)
  const others = lane(links.others, runNamed)
  const laneOf = ({ method }: Write) =>
    method === 'enqueue' ? enqueues : unnamed.has(method) ? claims : others

  let closed = false
  const write = async (write: Write): Promise<unknown> => {
    if (closed) throw Object.assign(new Error('closed'), { code: 'ERR_QUEUE_CLOSED' })
    return laneOf(write).call(write)
  }
  const purge = async (): Promise<void> => {
    const { more } = (await write({ method: 'purge', args: [] })) as { more: boolean }
    if (more) await purge()
  }
  const tryPurge = () => void purge().catch(() => {})
  tryPurge()
  const purging = setInterval(tryPurge, purgeEveryMs)
  return {
    write,
    async close() {
      closed = true
      clearInterval(purging)
      await Promise.all([enqueues, claims, others].map(each => each.idle()))
    },
  }
}
