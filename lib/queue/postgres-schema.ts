import type pg from 'pg'
import { ConfigError } from '../config.ts'
import { limits } from '../limits.ts'
import type { QueueOptions } from './engine.ts'
import { type Connections, serverNowSql } from './postgres-connections.ts'
import { expansions, firstEvent, newerSchema, readSchema, schemaVersion } from './schema.ts'

/** The shared tables with PostgreSQL's types. */
const tables = () =>
  readSchema()
    .replaceAll('INTEGER PRIMARY KEY AUTOINCREMENT', 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY')
    .replaceAll('REAL', 'DOUBLE PRECISION')
    .replaceAll(') STRICT', ')')

/**
 * Each photo leaves two dead rows, which slow reads of the indexes of waiting photos until a vacuum. The threshold is a
 * share of the table, because a vacuum costs more the larger its indexes are.
 */
const upkeep = `ALTER TABLE jobs SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 1000)`

const tableNames = ['jobs', 'events', 'workers', 'schema_version']

/** Attempts to add a column, and how long each waits for transactions on the table. */
const maxTries = 20
const lockMs = 1_000
const lockNotAvailable = '55P03'

/**
 * Creates missing tables of a schema, and adds the columns that the previous release did not have. Processes that start
 * together wait for one another.
 * @throws Error when a newer version of Tintype wrote them.
 */
export async function migratePostgres(client: pg.ClientBase, place: string, { mustExist }: QueueOptions) {
  await client.query('BEGIN; SET LOCAL statement_timeout = 0')
  await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`tintype ${place}`])
  const { rows } = await client.query(
    `SELECT to_regnamespace($1) IS NULL AS "isNew", ${serverNowSql} AS now,
      ARRAY(SELECT tablename::text FROM pg_tables WHERE schemaname = $2 AND tablename = ANY($3)) AS found`,
    [`"${place}"`, place, tableNames],
  )
  const [{ isNew, found, now }] = rows
  const isEmpty = found.length === 0
  if (!isEmpty && found.length < tableNames.length)
    throw new ConfigError(
      `the schema "${place}" has another program's table ${found.join(', ')}: give another search_path`,
    )
  if (isEmpty && mustExist) throw new ConfigError('there is no queue')
  if (isNew) await client.query(`CREATE SCHEMA "${place}"`)
  if (isEmpty)
    await client.query(`${tables()}; ${upkeep};
      ALTER TABLE events ALTER COLUMN seq SET START WITH ${firstEvent(now)} RESTART;
      CREATE TABLE schema_version AS SELECT ${schemaVersion} AS version`)
  const { version } = (await client.query(`SELECT version FROM "${place}".schema_version`)).rows[0]
  if (version > schemaVersion) throw newerSchema(version)
  // Logical replication, and a restore of rows alone, leave the sequences behind: each insert would fail. A role that has
  // no rights on sequences can insert all the same, and must not be refused. An unused sequence has no last value.
  for (const table of ['jobs', 'events'])
    await client.query(`SELECT setval('${table}_seq_seq', highest)
      FROM pg_sequences, (SELECT max(seq) AS highest FROM ${table}) AS rows
      WHERE schemaname = '${place}' AND sequencename = '${table}_seq_seq'
        AND highest > coalesce(last_value, start_value - 1) AND has_sequence_privilege('${table}_seq_seq', 'UPDATE')`)
  await client.query('COMMIT')
  await expand(client, place)
}

/**
 * Adds each column in a separate transaction: a transaction that alters two tables could deadlock with a writer. While
 * ALTER TABLE waits for a lock, later transactions wait behind it, so it gives up after `lockMs` and is tried again.
 */
async function expand(client: pg.ClientBase, place: string): Promise<void> {
  const { rows } = await client.query(
    'SELECT table_name AS table, column_name AS column FROM information_schema.columns WHERE table_schema = $1',
    [place],
  )
  await client.query(`SET lock_timeout = ${lockMs}`)
  for (const { table, column, type } of expansions) {
    if (rows.some(row => row.table === table && row.column === column)) continue
    const add = (tries: number): Promise<unknown> =>
      client.query(`ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS ${column} ${type}`).catch(error => {
        if (error.code !== lockNotAvailable || tries === maxTries) throw error
        return add(tries + 1)
      })
    await add(1)
  }
}

/**
 * Settings of every connection. Every statement has an index, and sequential scans are disabled: otherwise a plan made
 * for small tables would later read large ones whole. Timeouts end statements that wait for a lock, and transactions of
 * suspended processes. A role may have other settings: fewer digits of times, a short wait for locks, or no writes.
 */
export const sessionSettings = `SET enable_seqscan = off; SET jit = off; SET statement_timeout = 2500;
  SET idle_in_transaction_session_timeout = 5000; SET lock_timeout = 0; SET extra_float_digits = 1;
  SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'`

/** Unsafe settings of PostgreSQL, and what each can lose. */
const needed = ['fsync', 'full_page_writes', 'synchronous_commit'] as const

export const serverStateQuery = `SELECT pg_is_in_recovery() AS standby, ${serverNowSql} AS now,
  ${needed.map(name => `current_setting('${name}') AS ${name}`).join(', ')}`

export type ServerState = { standby: boolean; now: number } & Record<(typeof needed)[number], string>

/** @throws Error when the server's settings can lose acknowledged data. */
export function assertDurable(server: ServerState): void {
  if (server.standby)
    throw refusal('the server is a standby, which takes no writes: QUEUE_URL must name the primary')
  const off = needed.filter(name => server[name] === 'off')
  if (off.length > 0)
    throw refusal(
      `the server runs with ${off.map(name => `${name} = off`).join(', ')}, so that a crash may lose acknowledged photos: ` +
        'set it to on',
    )
}

const backendOf = async (client: pg.ClientBase): Promise<number> =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

/**
 * Opens as many connections beside the first one as a service uses in all. A command, which may have to work when the
 * server has hardly a connection left, opens one.
 * @throws Error when two connections have one process of the server, as behind a pooler, or when the server refuses one.
 */
export async function checkConnections(first: pg.ClientBase, pool: Connections, { mustExist }: QueueOptions) {
  const open = () => pool.use(backendOf)
  if ((await backendOf(first)) === (await open()))
    throw refusal(
      'a pooler shares the server’s connections (PgBouncer in transaction mode), so that events and settings are lost: ' +
        'QUEUE_URL must name the server itself, or a pool in session mode',
    )
  if (!mustExist) await Promise.all(Array.from({ length: limits.queueConnections.value - 1 }, open))
}

const refusal = (message: string): Error =>
  Object.assign(new ConfigError(message), { code: 'ERR_QUEUE_REFUSED' })
