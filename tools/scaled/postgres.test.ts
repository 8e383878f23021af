import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { makeDatabase, postgresUser, serverFor } from './postgres.ts'

describeWithParts('PostgreSQL of npm run scaled', ['postgres'], ({ postgres }) => {
  test('is the version that made the files, also beside the newer one that an upgrade of Debian brings; without it that is said', async () => {
    const folder = await temporaryFolder()
    const [, made = ''] = /(\d+)\./.exec(execFileSync(postgres, ['--version'], { encoding: 'utf8' })) ?? []
    const [older, newer] = [made, '99'].map(version => join(folder, version, 'bin', 'postgres'))
    for (const each of [older, newer] as string[]) mkdirSync(dirname(each), { recursive: true })
    symlinkSync(postgres, older as string)
    writeFileSync(newer as string, '#!/bin/sh\necho postgres 99.1\n', { mode: 0o755 })
    writeFileSync(join(folder, 'PG_VERSION'), `${made}\n`)
    expect(serverFor(folder, newer as string)).toBe(older)
    writeFileSync(join(folder, 'PG_VERSION'), '9.6\n')
    expect(() => serverFor(folder, newer as string)).toThrow(
      'was made by PostgreSQL 9.6, which is not installed',
    )
  })

  test('says why its files could not be made: the error named the command alone', () => {
    const make = () => makeDatabase(postgres, '/proc/data', postgresUser(), [])
    expect(make).toThrow(/initdb: error: could not create directory "\/proc\/data"/)
  })
})
