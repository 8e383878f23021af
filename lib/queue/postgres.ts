import pg from 'pg'
import { ConfigError } from '../config.ts'
import { ExpectedError, endProcess, errorCode } from '../errors.ts'
import { countLimit, limits } from '../limits.ts'
import { engineOn, type QueueOptions, settingsOf } from './engine.ts'
import { noAnswer } from './group.ts'
import { callEngine, isRead, type Queue, type QueueCall, queueOn } from './port.ts'
import { openBell } from './postgres-bell.ts'
import { openServerClock, type ServerClock } from './postgres-clock.ts'
import { type Connections, openConnections } from './postgres-connections.ts'
import * as schema from './postgres-schema.ts'
import { isUnnamed, lastRow, openWriter, retried, statementsOf } from './postgres-writer.ts'
import type { PostgresAddress } from './queue-url.ts'

/** Long, because a migration may have to rewrite a table. A process that is not ready in time is killed without its reason. */
const migrationMs = 45_000
/** Firewalls and load balancers forget a connection without traffic, after 4 minutes or more: the next call would fail. */
const keptAlive = { keepAlive: true, keepAliveInitialDelayMillis: 30_000 }
const undefinedTable = '42P01'
const tooManyConnections = '53300'
const noPassword = 'the server asks for a password: QUEUE_URL, PGPASSWORD or ~/.pgpass must have it'
/** BIGINT is text by default. No number here exceeds 2^53. */
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

/**
 * The queue in a schema of a PostgreSQL database. Lost connections are opened again. While the server is unreachable,
 * calls fail at once and the process goes on.
 */
export async function openPostgres(address: PostgresAddress, options: QueueOptions = {}): Promise<Queue> {
  const clock = openServerClock()
  const settings = settingsOf(options)
  const migrating = connect(address, clock, migrationMs)
  const connections = connect(address, clock)
  try {
    await migrating.use(async client => {
      await schema.migratePostgres(client, address.schema, options)
      await schema.assertConnections(client, connections, options)
    })
  } catch (cause) {
    await connections.close()
    // Also a wrong password or database, and a missing right: the server's own words say what to change.
    const What = cause instanceof ConfigError ? ConfigError : ExpectedError
    const message = (cause as Error).message.replace(/^SASL.*password must be.*/, noPassword)
    const needed =
      errorCode(cause) === tooManyConnections ? `; each process needs ${limits.queueConnections.value}` : ''
    throw new What(`queue "${address.name}": ${message}${needed}`, { cause })
  } finally {
    await migrating.close()
  }
  const bell = await openBell(connections, address.schema, clock)
  // Two writers, so that a claim does not wait for the fsync of an enqueue or a completion.
  const openOne = () => openWriter(connections, settings, clock, bell.ring)
  const [claims, others] = [openOne(), openOne()]
  const write = (call: QueueCall) => (isUnnamed(call) ? claims : others).call(call)
  const read = (call: QueueCall) =>
    retried(() =>
      connections.use(client => {
        const sql = statementsOf(query => client.query(query))
        return callEngine(engineOn(sql, settings, clock.now), call)
      }),
    )
  return queueOn(bell.doorbell, options, {
    async ask(call) {
      try {
        return await (isRead(call) ? read : write)(call)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === noAnswer) countLimit('queueAnswer')
        // The schema was dropped, or the database made anew: a restarted process makes the tables.
        if (code === undefinedTable) endProcess(new Error(`queue "${address.name}": its tables are gone`))
        throw error
      }
    },
    now: clock.now,
    async close() {
      await Promise.all([claims.close(), others.close(), bell.close()])
      await connections.close()
    },
  })
}

function connect(
  { connectionString, schema: place }: PostgresAddress,
  clock: ServerClock,
  withinMs?: number,
): Connections {
  const prepare = async (client: pg.ClientBase) => {
    const answers = await client.query(
      `SET search_path TO "${place}"; ${schema.sessionSettings}; ${schema.serverStateQuery}`,
    )
    const server = lastRow<schema.ServerState>(answers)
    clock.set(server.now)
    schema.assertDurable(server)
  }
  const config = { connectionString, fallback_application_name: 'tintype', pipeline: true, ...keptAlive }
  return openConnections(config, prepare, withinMs)
}
