import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { chown, readFile, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Postgres, startPostgres } from '../../test/postgres.ts'
import { describeWithParts, runScript, temporaryFolder, until } from '../../test/support.ts'
import { describeError, errorCode, explainError } from '../errors.ts'
import { timesReached } from '../limits.ts'
import { job, opened, queueContract } from './contract.ts'
import { openElsewhere } from './contract-process.ts'
import { openQueue, type QueueEvent, type QueueOptions } from './index.ts'
import { retried } from './postgres.ts'

describeWithParts('PostgreSQL', ['postgres'], ({ postgres }) => {
  queueContract('postgres', async () => {
    const server = await startPostgres(postgres)
    return {
      newUrl: server.newUrl,
      crash: async () => {
        await server.kill()
        await server.start()
      },
      async run(url, sql) {
        const { searchParams } = new URL(url)
        const other = new pg.Client({ connectionString: url.replace(/\?.*/, '') })
        await other.connect()
        await other.query(`SET search_path TO "${searchParams.get('search_path')}"; ${sql}`)
        await other.end()
      },
      stop: server.stop,
    }
  })

  describe('the queue on a server', () => {
    let server: Postgres
    beforeAll(async () => {
      server = await startPostgres(postgres)
    })
    afterAll(() => server.stop())

    const schemaOf = (url: string) => new URL(url).searchParams.get('search_path') ?? ''
    /** A connection of the test's own, in the queue's schema. */
    async function client(url: string): Promise<pg.Client> {
      const other = new pg.Client({ connectionString: url.replace(/\?.*/, '') })
      await other.connect()
      onTestFinished(() => other.end())
      await other.query(`SET search_path TO "${schemaOf(url)}"`)
      return other
    }
    const refusal = (url: string, options?: QueueOptions): Promise<Error> =>
      openQueue(url, options).then(
        async queue => {
          await queue.close()
          throw new Error('it was opened')
        },
        error => error,
      )

    test('many processes that start at once on an empty database make one schema', async () => {
      const url = server.newUrl()
      const queues = await Promise.all(Array.from({ length: 6 }, () => opened(url)))
      const work = job()
      expect(await queues[0]?.enqueue(work)).toBe('queued')
      expect(await queues[5]?.enqueue(work)).toBe('already')
    })

    test('reads beyond the connections of a process wait for a free one', async () => {
      const queue = await opened(server.newUrl())
      const reached = () => timesReached('queueConnections')
      const before = reached()
      const looks = await Promise.all(Array.from({ length: 100 }, () => queue.look('none')))
      expect(new Set(looks)).toEqual(new Set(['unknown']))
      expect(reached()).toBeGreaterThan(before)
    })

    test('a connection that the server closed a moment ago fails no call', async () => {
      const queue = await opened(server.newUrl())
      await Promise.all(Array.from({ length: 5 }, () => queue.look('none')))
      const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tintype'`
      const args = ['-h', '127.0.0.1', '-p', `${server.port}`, '-U', 'tintype', '-c', terminate, 'postgres']
      // Synchronously, so that this process learns of it by its next call.
      expect(spawnSync(join(dirname(realpathSync(postgres)), 'psql'), args).status).toBe(0)
      expect(await queue.look('none')).toBe('unknown')
      expect(await queue.enqueue(job())).toBe('queued')
    })

    test('what a repetition cannot mend is not repeated; what the server rolled back is', async () => {
      const triesOf = async (code: string) => {
        let tries = 0
        const work = async () => {
          if (++tries < 3) throw Object.assign(new Error('it failed'), { code })
        }
        await retried(work).catch(() => {})
        return tries
      }
      for (const code of ['42P01', '53300', '28P01', 'ECONNREFUSED', 'ETIMEDOUT'])
        expect(await triesOf(code), code).toBe(1)
      for (const code of ['40P01', '57P01', '25006', 'ECONNRESET']) expect(await triesOf(code), code).toBe(3)
    })

    test('a reason in any script is kept by a database with an encoding of one byte', async () => {
      const admin = await client(server.newUrl())
      await admin.query(
        `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
      )
      const queue = await opened(server.newUrl().replace('/postgres?', '/latin?'), { maxAttempts: 1 })
      await queue.enqueue(job())
      const claim = await queue.claim('w', 5_000, new AbortController().signal)
      if (claim === 'aborted') throw new Error('there is work')
      const reason = { code: 'crash', detail: 'the photo “사진 📷” broke it' } as const
      expect(await queue.fail(claim, reason, queue.now())).toMatchObject({ next: 'dead' })
      expect((await queue.deadLetters(1))[0]?.reason).toEqual(reason)
    })

    test('without search_path the schema is tintype', async () => {
      await opened(server.newUrl().replace(/\?.*/, ''))
      const found = await (await client(server.newUrl())).query(`SELECT to_regclass('tintype.jobs') AS jobs`)
      expect(found.rows[0].jobs).toBe('tintype.jobs')
    })

    test('a command that repairs makes no queue in a wrong database', async () => {
      const url = server.newUrl()
      expect((await refusal(url, { mustExist: true })).message).toMatch(/^queue ".*": there is no queue$/)
      const found = await (await client(url)).query('SELECT to_regnamespace($1) AS made', [schemaOf(url)])
      expect(found.rows[0].made).toBe(null)
    })

    test('a schema with a table of another program is refused: the start took Flyway’s schema_version for its own', async () => {
      for (const table of ['schema_version', 'jobs']) {
        const url = server.newUrl()
        const other = await client(url)
        await other.query(`CREATE SCHEMA "${schemaOf(url)}"; CREATE TABLE ${table} (version text)`)
        const why = `the schema "${schemaOf(url)}" has another program's table ${table}: give another search_path`
        expect(explainError(await refusal(url))).toMatch(new RegExp(`: ${why}$`))
      }
    })

    test('a wrong database or role, or a missing right, ends the start in a sentence: it stood above a stack of 30 lines', async () => {
      const admin = await client(server.newUrl())
      await admin.query('CREATE ROLE poor LOGIN; REVOKE CREATE ON DATABASE postgres FROM PUBLIC')
      const url = server.newUrl()
      await (await openQueue(url)).close()
      const cases = {
        [url.replace('tintype@', 'poor@')]: `permission denied for schema ${schemaOf(url)}`,
        [url.replace('/postgres', '/none')]: 'database "none" does not exist',
        [url.replace('tintype@', 'nobody@')]: 'role "nobody" does not exist',
        [`${url}&port=tcp`]: 'its port, or PGPORT, must be a number up to 65535',
        [`${url}&port=-1`]: 'its port, or PGPORT, must be a number up to 65535',
        [server.newUrl().replace('tintype@', 'poor@')]: 'permission denied for database postgres',
      }
      for (const [wrong, why] of Object.entries(cases))
        expect(explainError(await refusal(wrong))).toMatch(new RegExp(`^queue "postgres://.*": ${why}$`))
    })

    test('a role with too few connections ends the start: it began, and refused each upload', async () => {
      const admin = await client(server.newUrl())
      await admin.query(
        'CREATE ROLE narrow LOGIN CONNECTION LIMIT 4; GRANT CREATE ON DATABASE postgres TO narrow',
      )
      const url = server.newUrl().replace('tintype@', 'narrow@')
      const why = /too many connections for role "narrow"; each process needs 5$/
      expect(explainError(await refusal(url))).toMatch(why)
      await admin.query('ALTER ROLE narrow CONNECTION LIMIT 5')
      const queue = await until(() => openQueue(url).catch(() => null), { what: 'closed connections' })
      onTestFinished(() => queue.close())
      expect(await queue.enqueue(job())).toBe('queued')
    })

    /** Other users of this server need no password. */
    async function roleWithPassword(name: string) {
      const hba = join(server.folder, 'pg_hba.conf')
      const rules = readFileSync(hba, 'utf8')
      writeFileSync(hba, `host all ${name} 127.0.0.1/32 scram-sha-256\n${rules}`)
      onTestFinished(() => writeFileSync(hba, rules))
      const admin = await client(server.newUrl())
      await admin.query(`CREATE ROLE ${name} LOGIN SUPERUSER PASSWORD 'x'`)
      await admin.query('SELECT pg_reload_conf()')
      return { admin, url: server.newUrl().replace('tintype@', `${name}@`) }
    }

    test('a password that nothing gives is said to be missing: it must be a string, said the client', async () => {
      const { url } = await roleWithPassword('asked')
      const why = () => openQueue(url).then(queue => queue.close(), explainError)
      const said = await until(why, { what: 'the new rules' })
      expect(said).toMatch(/: the server asks for a password: QUEUE_URL, PGPASSWORD or .* must have it$/)
    })

    test('a rotated password in the file of PGPASSFILE needs no restart: each new connection reads it', async () => {
      const { admin, url } = await roleWithPassword('rotated')
      const file = join(await temporaryFolder(), 'pgpass')
      const give = async (password: string) => {
        await admin.query(`ALTER ROLE rotated PASSWORD '${password}'`)
        writeFileSync(file, `*:*:*:rotated:${password}\n`, { mode: 0o600 })
      }
      vi.stubEnv('PGPASSFILE', file)
      onTestFinished(() => void vi.unstubAllEnvs())
      await give('one')
      const queue = await opened(url)
      await give('two')
      await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'`)
      expect(await until(() => queue.enqueue(job()).catch(() => null), { what: 'new connections' })).toBe(
        'queued',
      )
    })

    test('settings of a role change neither times nor waits: with few digits each photo was received in 1970 or 2033', async () => {
      const admin = await client(server.newUrl())
      await admin.query(`ALTER ROLE tintype SET extra_float_digits = -15; ALTER ROLE tintype SET lock_timeout = 1;
        ALTER ROLE tintype SET default_transaction_read_only = on`)
      onTestFinished(async () => void (await admin.query('ALTER ROLE tintype RESET ALL')))
      const url = server.newUrl()
      await (await openQueue(url)).close()
      // As tables of the release before, to which the start adds columns.
      await admin.query(`ALTER TABLE "${schemaOf(url)}".jobs DROP COLUMN format`)
      const queue = await opened(url)
      expect(Math.abs(queue.now() - Date.now())).toBeLessThan(60_000)
      const given = job()
      await queue.enqueue(given)
      const claim = await queue.claim('w', 5_000, new AbortController().signal)
      expect(claim).toMatchObject({ job: given })
    })

    test('tables that were removed end their process, whose next start makes them: it refused every upload for ever', async () => {
      const url = server.newUrl()
      const { queue, process: other } = await openElsewhere(url)
      const ended = once(other, 'exit')
      const admin = await client(url)
      await admin.query(`DROP SCHEMA "${schemaOf(url)}" CASCADE`)
      await expect(queue.enqueue(job())).rejects.toThrow('relation "jobs" does not exist')
      expect(await ended).toEqual([1, null])
      expect(await (await opened(url)).enqueue(job())).toBe('queued')
    })

    test('a trigger that skips rows fails an upload: it was tried for ever', async () => {
      const url = server.newUrl()
      const queue = await opened(url)
      await (
        await client(url)
      ).query(`CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER skip BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION skip()`)
      await expect(queue.enqueue(job())).rejects.toThrow('a trigger or policy on jobs')
    })

    test('numbers that a logical replication left behind the rows end their process, whose next start mends them: each insert failed', async () => {
      const url = server.newUrl()
      const { queue, process: other } = await openElsewhere(url)
      await queue.enqueue(job())
      const ended = once(other, 'exit')
      const admin = await client(url)
      await admin.query('ALTER TABLE jobs ALTER seq RESTART; ALTER TABLE events ALTER seq RESTART')
      await expect(queue.enqueue(job())).rejects.toThrow('duplicate key')
      expect(await ended).toEqual([1, null])
      const [next, since] = [await opened(url), Number((await admin.query('TABLE events')).rows[0].seq)]
      expect(await next.enqueue(job())).toBe('queued')
      expect(await next.lastEvent()).toBe(since + 1)
    })

    test('a new queue numbers its events above those that are restored from an earlier one', async () => {
      const url = server.newUrl()
      const before = Date.now() * 100
      await opened(url)
      await (await client(url)).query(
        "INSERT INTO events (seq, photo, owner, state) OVERRIDING SYSTEM VALUE VALUES (7, 'x', 'x', 'queued')",
      )
      const queue = await opened(url)
      await queue.enqueue(job())
      expect(await queue.lastEvent()).toBeGreaterThanOrEqual(before)
    })

    test('a role that may only read and write the rows opens the queue', async () => {
      const url = server.newUrl()
      await opened(url)
      const schema = new URL(url).searchParams.get('search_path')
      const admin = await client(url)
      await admin.query(`CREATE ROLE writer LOGIN; GRANT USAGE ON SCHEMA ${schema} TO writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO writer`)
      expect(await (await opened(url.replace('tintype@', 'writer@'))).enqueue(job())).toBe('queued')
    })

    test('a queue of a newer version is refused', async () => {
      const url = server.newUrl()
      await opened(url)
      await (await client(url)).query('UPDATE schema_version SET version = 99')
      expect((await refusal(url)).message).toMatch(/q_\w+": a newer version of Tintype wrote it \(schema 99;/)
    })

    for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit'])
      test(`a server with ${setting} = off is refused in one sentence, which a process that has nothing else to wait for did not reach`, async () => {
        const url = server.newUrl()
        const admin = await client(url)
        await admin.query(`ALTER SYSTEM SET ${setting} = off`)
        await admin.query('SELECT pg_reload_conf()')
        onTestFinished(async () => {
          await admin.query(`ALTER SYSTEM RESET ${setting}`)
          await admin.query('SELECT pg_reload_conf()')
          await until(async () => (await admin.query(`SHOW ${setting}`)).rows[0][setting] === 'on')
        })
        await until(async () => (await admin.query(`SHOW ${setting}`)).rows[0][setting] === 'off')
        const { code, err } = await runScript('tools/queue.ts', ['stats'], { QUEUE_URL: url })
        const why = `the server runs with ${setting} = off, so that a crash may lose acknowledged photos: .*`
        expect(err).toMatch(new RegExp(`^queue "postgres://.*": ${why}\n$`))
        expect(code).toBe(2)
      })

    test('a standby is refused: it takes no writes', async () => {
      const own = await startPostgres(postgres)
      onTestFinished(own.stop)
      const url = own.newUrl()
      await (await openQueue(url)).close()
      await own.kill()
      await writeFile(join(own.folder, 'standby.signal'), '')
      await own.start()
      expect((await refusal(url)).message).toContain('a standby, which takes no writes')
    })

    test('a pooler in transaction mode is refused: it was taken for a server with synchronous_commit = off', async () => {
      const url = new URL(server.newUrl())
      // Gives all its clients one connection to the server, whose greeting it repeats to each.
      const shared = connect(server.port, '127.0.0.1')
      const greeting: Buffer[] = []
      let asking: Socket | undefined
      shared.on('data', bytes => asking?.write(bytes))
      const pooler = createServer(client => {
        let isGreeted = false
        client.on('error', () => {})
        client.on('data', bytes => {
          if (!isGreeted && greeting.length > 0) client.write(Buffer.concat(greeting))
          else if (bytes[0] !== 'X'.charCodeAt(0)) {
            asking = client
            if (!isGreeted) {
              const greet = (some: Buffer) => void greeting.push(some)
              shared.on('data', greet)
              client.once('data', () => shared.off('data', greet))
            }
            shared.write(bytes)
          }
          isGreeted = true
        })
      }).listen(0, '127.0.0.1')
      onTestFinished(() => {
        pooler.close()
        shared.destroy()
      })
      await once(pooler, 'listening')
      url.port = String((pooler.address() as AddressInfo).port)
      expect((await refusal(url.href)).message).toMatch(/PgBouncer in transaction mode/)
    })

    test('no error shows the password', async () => {
      const password = 's3cret/wi@th#signs'
      const admin = await client(server.newUrl())
      await admin.query(`CREATE ROLE somebody LOGIN PASSWORD 'another'`)
      const rules = join(server.folder, 'pg_hba.conf')
      const trusting = await readFile(rules, 'utf8')
      await writeFile(rules, `host all somebody 127.0.0.1/32 scram-sha-256\n${trusting}`)
      await admin.query('SELECT pg_reload_conf()')
      const address = `127.0.0.1:${server.port}/postgres`
      const urls = [
        `postgres://somebody:${encodeURIComponent(password)}@${address}`,
        `postgres://somebody@${address}?password=${encodeURIComponent(password)}`,
        `postgress://somebody:${password}@${address}`,
        `postgres://somebody:${password}@${address}`,
        `postgres://somebody:${encodeURIComponent(password)}@${address}?search_path=no,schema`,
      ]
      for (const url of urls) {
        const shown = describeError(await refusal(url))
        for (const secret of [password, encodeURIComponent(password), 's3cret', 'signs'])
          expect(shown).not.toContain(secret)
      }
      expect((await refusal(urls[0] as string)).message).toContain('password authentication failed')
    })

    test('TLS is as the URL asks for: refused by a server without it, and for a certificate without a known authority', async context => {
      const url = server.newUrl()
      expect((await refusal(`${url}&sslmode=verify-full`)).message).toContain('does not support SSL')
      const [key, certificate] = [join(server.folder, 'server.key'), join(server.folder, 'server.crt')]
      const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=127.0.0.1']
      const { error } = spawnSync('openssl', [...request, '-keyout', key, '-out', certificate])
      if (error) return context.skip('openssl is not installed')
      const { uid, gid } = await stat(server.folder)
      for (const file of [key, certificate]) await chown(file, uid, gid)
      const admin = await client(url)
      await admin.query('ALTER SYSTEM SET ssl = on')
      await admin.query('SELECT pg_reload_conf()')
      expect(errorCode(await refusal(`${url}&sslmode=verify-full`))).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
      const queue = await opened(`${url}&sslmode=no-verify`)
      expect(await queue.enqueue(job())).toBe('queued')
      const { rows } = await admin.query('SELECT count(*)::int AS encrypted FROM pg_stat_ssl WHERE ssl')
      expect(rows[0].encrypted, 'one that listens and one that writes').toBeGreaterThan(1)
    })

    test('the clock is the server’s: a process whose own is wrong works by it', async () => {
      const [real, offMs] = [Date.now, 3_600_000]
      Date.now = () => real() + offMs
      onTestFinished(() => {
        Date.now = real
      })
      const queue = await opened(server.newUrl())
      expect(Math.abs(queue.now() - real())).toBeLessThan(offMs / 10)
      await queue.enqueue(job({ promiseBy: real() + 10_000 }))
      const claim = await queue.claim('w', 5_000, new AbortController().signal)
      if (claim === 'aborted') throw new Error('there is work')
      expect(Math.abs(claim.claimedAt - real())).toBeLessThan(offMs / 10)
      expect(await queue.overdue(1)).toEqual([])
      expect(await queue.complete(claim, queue.now())).toEqual({ marked: 'kept' })
    })

    test('an event that commits late arrives in its place, at readers that began before it and at those that begin meanwhile', async () => {
      const url = server.newUrl()
      const queue = await opened(url)
      await queue.enqueue(job())
      const other = await client(url)
      const write = (photo: string) =>
        other.query(`INSERT INTO events (photo, owner, state) VALUES ('${photo}', 'o', 'queued')`)
      const stop = new AbortController()
      onTestFinished(() => stop.abort())
      const listen = async () => {
        const received: QueueEvent[] = []
        const listening = queue.events(await queue.lastEvent(), stop.signal)
        void (async () => {
          for await (const event of listening) received.push(event)
        })()
        return received
      }
      const before = await listen()
      await other.query('BEGIN')
      await write('late')
      const next = job()
      await queue.enqueue(next)
      const meanwhile = await listen()
      await other.query('COMMIT')
      for (const received of [before, meanwhile]) {
        await until(() => received.length === 2)
        expect(received.map(({ photo }) => photo)).toEqual(['late', next.photo])
      }

      await other.query('BEGIN')
      await write('never')
      await other.query('ROLLBACK')
      const start = performance.now()
      await queue.enqueue(job())
      await until(() => before.length === 3)
      expect(performance.now() - start, 'whether it still comes').toBeGreaterThan(900)
    })

    test('removes all old finished photos and events', async () => {
      const url = server.newUrl()
      await (await openQueue(url)).close()
      const other = await client(url)
      const ended = (days: number) => `extract(epoch FROM now() - interval '${days} days') * 1000`
      await other.query(`INSERT INTO jobs (photo, owner, received_at, promise_by, promise, state, ended_at, outcome)
        SELECT 'p' || n, 'o', 1, 2, 1, 'done', CASE WHEN n <= 5000 THEN ${ended(9)} ELSE ${ended(7)} END, 'kept'
        FROM generate_series(1, 5010) n`)
      await other.query(
        `INSERT INTO events (photo, owner, state) SELECT 'p', 'o', 'queued' FROM generate_series(1, 53000)`,
      )
      await opened(url)
      const count = async (table: string) =>
        (await other.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0].n
      await until(async () => (await count('jobs')) === 10 && (await count('events')) === 50_000)
    })

    test('no operation reads through the finished photos', async () => {
      const url = server.newUrl()
      const queue = await opened(url)
      const other = await client(url)
      await other.query(`INSERT INTO jobs (photo, owner, received_at, promise_by, promise, state, ended_at, outcome)
        SELECT 'p' || n, 'o', 1, 2, 1, 'done', extract(epoch FROM now()) * 1000, 'kept' FROM generate_series(1, 50000) n`)
      await other.query('ANALYZE jobs')
      const scanned = async () => {
        await other.query('SELECT pg_stat_clear_snapshot()')
        const { rows } = await other.query(
          `SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) +
          (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'jobs' AND schemaname = $1) AS read
          FROM pg_stat_user_tables WHERE relname = 'jobs' AND schemaname = $1`,
          [schemaOf(url)],
        )
        return Number(rows[0].read)
      }
      const before = await scanned()
      for (let n = 0; n < 20; n++) {
        const work = job()
        await queue.enqueue(work)
        const claim = await queue.claim('w', 5_000, new AbortController().signal)
        if (claim === 'aborted') throw new Error('there is work')
        await queue.renew(claim, 5_000)
        await queue.complete(claim, Date.now())
        await queue.look(work.photo)
        await queue.remove(work.photo, work.owner)
        for (const read of [queue.overdue, queue.tombstones, queue.deadLetters]) await read(5)
        await queue.claimLost({ worker: 'w', leaseMs: 5_000 }, 5)
        await queue.stats()
        await queue.bury(work.photo)
        await queue.expireDead(Date.now())
      }
      await queue.close() // its connections report what they read
      const read = await until(async () => (await scanned()) - before)
      expect(read).toBeLessThan(10_000)
    })

    test('an idle connection is probed within half a minute: a firewall would forget it, and the next call would fail', async context => {
      if (process.platform !== 'linux') context.skip('there is no /proc here')
      const queue = await opened(server.newUrl())
      await queue.stats()
      const port = server.port.toString(16).toUpperCase().padStart(4, '0')
      // Timer 02 is that of keepalive, and its rest is in hundredths of a second.
      const rests = async () => {
        const sockets = (await readFile('/proc/self/net/tcp', 'utf8'))
          .split('\n')
          .map(line => line.trim().split(/\s+/))
        const ours = sockets.filter(
          ([, , remote = '', state]) => remote.endsWith(`:${port}`) && state === '01',
        )
        const timers = ours.map(([, , , , , timer = '']) => timer.split(':'))
        return (
          timers.every(([kind]) => kind === '02') &&
          timers.map(([, rest = '']) => Number.parseInt(rest, 16) / 100)
        )
      }
      const seconds = await until(rests)
      expect(seconds.length).toBeGreaterThan(1)
      expect(Math.max(...seconds)).toBeLessThan(31)
    })

    test('the package is loaded only for such a queue, and named when it is missing', async () => {
      const folder = await temporaryFolder()
      const script = (url: string) => `
        import { registerHooks } from 'node:module'
        registerHooks({ resolve(name, context, next) {
          if (name === 'pg') throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
          return next(name, context)
        } })
        const { openQueue } = await import('${new URL('./index.ts', import.meta.url)}')
        await openQueue('${url}').then(queue => queue.close(), error => console.log(error.message))`
      const run = (url: string) =>
        spawnSync(process.execPath, ['--input-type=module', '-e', script(url)], { encoding: 'utf8' })
      expect(run(`sqlite:${folder}/queue.sqlite`)).toMatchObject({ status: 0, stdout: '' })
      expect(run(server.newUrl()).stdout).toMatch(
        /^QUEUE_URL needs the package pg, which is not installed: npm install pg\n$/,
      )
    })
  })
})
