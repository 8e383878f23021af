import { dirname, join } from 'node:path'
import { isPath } from '../config.ts'

export const queueUrlFormat =
  'sqlite:FILE (not sqlite://, ~ or quotes), or postgres://USER:PASSWORD@HOST:PORT/DATABASE (# / ? @ % as %23 %2F %3F %40 %25) with the optional ' +
  'query search_path=SCHEMA (default tintype), sslmode and other options of the package pg'

export type PostgresAddress = {
  connectionString: string
  /** The schema with the queue's tables. Each queue has a separate schema. */
  schema: string
  /** The database's name in messages, without user and password. */
  name: string
}

/** Parses a QUEUE_URL; undefined when it has no known format. */
export function queueAddress(url: string): { file: string } | PostgresAddress | undefined {
  const file = url.startsWith('sqlite:') && url.slice('sqlite:'.length)
  if (file && isPath.test(file)) return { file }
  // For a Unix socket the query has the folder and the host is empty, which a URL with a user does not allow.
  const parsed = URL.parse(url) ?? URL.parse(url.replace('@/', '@localhost/'))
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol)) return undefined
  // A password with a # / or ? ends there: its rest would be shown as a host, a database or an option.
  if (parsed.hash || /@/.test(parsed.pathname) || /^[^=]*@/.test(parsed.search)) return undefined
  // Options of other clients, which pg ignores: it would connect without TLS, or to another schema.
  if (/[?&](currentSchema|schema|sslMode|ssl_mode|useSSL|tls)=/.test(parsed.search)) return undefined
  const schema = parsed.searchParams.get('search_path') ?? 'tintype'
  if (!/^[A-Za-z_]\w{0,62}$/.test(schema)) return undefined
  parsed.searchParams.delete('search_path')
  const name = `postgres://${parsed.host}${parsed.pathname}?search_path=${schema}`
  return { connectionString: parsed.href, schema, name }
}

/** The local folder that holds the queue, for disk metrics; none for PostgreSQL. */
export function queueFolders(url: string): string[] {
  const address = queueAddress(url)
  return address && 'file' in address ? [dirname(address.file)] : []
}

/** QUEUE_URL, or by default a file in DATA_DIR. */
export const queueUrl = (given: string, dataDir: string): string =>
  given || `sqlite:${join(dataDir, 'queue', 'queue.sqlite')}`
