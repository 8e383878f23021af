import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { available } from './install.ts'

test('a package that the release of the system lacks, as chromium-headless-shell on Ubuntu, keeps no other from being installed', async () => {
  const folder = await temporaryFolder()
  vi.stubEnv('PATH', folder)
  onTestFinished(() => void vi.unstubAllEnvs())
  const packages = ['postgresql', 'chromium-headless-shell', 'haproxy']
  expect(available(packages), 'without apt-get').toEqual(packages)
  const script = '#!/bin/sh\ncase "$3" in chromium*) exit 100 ;; esac\n'
  writeFileSync(join(folder, 'apt-get'), script, { mode: 0o755 })
  expect(available(packages)).toEqual(['postgresql', 'haproxy'])
})
