import type pg from 'pg'
import { ConfigError } from '../config.ts'
import { serverNow } from './postgres-clock.ts'
import { expansions, firstEvent, newerSchema, schema, schemaVersion } from './schema.ts'

/** The shared tables in this server's words. */
const tables = schema
  .replaceAll('INTEGER PRIMARY KEY AUTOINCREMENT', 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY')
  .replaceAll('REAL', 'DOUBLE PRECISION')
  .replaceAll(') STRICT', ')')
  .replaceAll('IF NOT EXISTS ', '')

/**
 * Each photo leaves two dead rows behind, and the indexes of what waits are read through them until they are gone. A
 * share of the table, because a vacuum of its own indexes costs more the more photos they know.
 */
const upkeep = `ALTER TABLE jobs SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 1000)`

/**
 * Makes the tables of a schema where there are none. Processes that start together wait for one another.
 * @throws Error when a newer version of Tintype wrote them.
 */
export async function migrate(client: pg.Client, place: string): Promise<void> {
  await client.query('BEGIN READ WRITE; SET LOCAL statement_timeout = 0')
  await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`tintype ${place}`])
  const { rows } = await client.query(
    `SELECT to_regnamespace($1) IS NULL AS "isNew", to_regclass($2) IS NULL AS "isEmpty", ${serverNow} AS now`,
    [`"${place}"`, `"${place}".schema_version`],
  )
  const [{ isNew, isEmpty, now }] = rows
  if (isNew) await client.query(`CREATE SCHEMA "${place}"`)
  if (isEmpty)
    await client.query(`${tables}; ${upkeep};
      ALTER TABLE events ALTER COLUMN seq RESTART WITH ${firstEvent(now)};
      CREATE TABLE schema_version AS SELECT ${schemaVersion} AS version`)
  const { version } = (await client.query('SELECT version FROM schema_version')).rows[0]
  if (version > schemaVersion) throw newerSchema(version)
  await expand(client, place)
  await client.query('COMMIT')
}

/** Adds what the release before did not know. Asked first: ALTER TABLE waits for every statement on the table. */
async function expand(client: pg.Client, place: string): Promise<void> {
  const { rows } = await client.query(
    'SELECT table_name AS table, column_name AS column FROM information_schema.columns WHERE table_schema = $1',
    [place],
  )
  for (const { table, column, type } of expansions)
    if (!rows.some(row => row.table === table && row.column === column))
      await client.query(`ALTER TABLE "${place}".${table} ADD COLUMN ${column} ${type}`)
}

/**
 * Of every connection. Each statement has an index: a plan made while the tables were small must not read them whole when
 * they have grown. A statement that waits for a lock, and a transaction whose process was suspended, end.
 */
export const session = `SET enable_seqscan = off; SET jit = off; SET statement_timeout = 2500;
  SET idle_in_transaction_session_timeout = 5000`

/** Settings that PostgreSQL has for the asking, and what each may cost. */
const needed = ['fsync', 'full_page_writes', 'synchronous_commit'] as const

export const standing = `SELECT pg_is_in_recovery() AS standby, ${serverNow} AS now,
  ${needed.map(name => `current_setting('${name}') AS ${name}`).join(', ')}`

export type Standing = { standby: boolean; now: number } & Record<(typeof needed)[number], string>

/** @throws Error when the server cannot keep what it acknowledges. */
export function assertKeeps(server: Standing, acceptLoss: boolean): void {
  if (server.standby)
    throw refusal('the server is a standby, which takes no writes: QUEUE_URL must name the primary')
  const off = needed.filter(name => server[name] === 'off')
  if (off.length > 0 && !acceptLoss)
    throw refusal(
      `the server runs with ${off.map(name => `${name} = off`).join(', ')}, so that a crash may lose acknowledged photos: ` +
        'set it to on, or accept the loss with QUEUE_ACCEPT_LOSS=true',
    )
}

const refusal = (message: string): Error =>
  Object.assign(new ConfigError(message), { code: 'ERR_QUEUE_REFUSED' })
