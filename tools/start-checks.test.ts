import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '@tintype/lib/config.ts'
import { variables } from '@tintype/lib/variables.ts'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { freePort } from './free-port.ts'
import { anyPorts } from './service.ts'
import { portProblems } from './start-checks.ts'

test('one port for two services is said at once, also after a launcher that was killed: no wait mends it', async () => {
  const folder = await temporaryFolder()
  writeFileSync(join(folder, 'launcher.json'), JSON.stringify({ pid: 2 ** 30 }))
  const port = String(await freePort())
  const config = readConfig({ ...anyPorts, DATA_DIR: folder, WEB_PORT: port, LOGS_PORT: port }, variables)
  const begun = performance.now()
  const problems = await portProblems(config, 5_000)
  expect(problems.join()).toContain(`LOGS_PORT=${port} cannot be used: WEB_PORT has the same port`)
  expect(performance.now() - begun).toBeLessThan(4_000)
})

test('a second start on one folder says that a service runs there, besides the ports', async () => {
  const folder = await temporaryFolder()
  const socket = join(folder, 'socket')
  writeFileSync(socket, '')
  const launcher = { socket, pid: process.pid, ino: statSync(folder).ino }
  writeFileSync(join(folder, 'launcher.json'), JSON.stringify(launcher))
  const port = String(await freePort())
  const config = readConfig({ ...anyPorts, DATA_DIR: folder, WEB_PORT: port, LOGS_PORT: port }, variables)
  const [first] = await portProblems(config, 0)
  expect(first).toContain(`a service already runs on DATA_DIR=${folder}: stop it`)
})
