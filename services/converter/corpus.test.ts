import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openStorage } from '@tintype/lib/storage/index.ts'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { startChild } from './children.ts'

const corpus = process.env.CORPUS_DIR

test.skipIf(!corpus)(
  'no file of CORPUS_DIR, however odd, ends a child',
  async () => {
    const folder = await temporaryFolder()
    const storage = await openStorage(`file:${folder}`)
    const setup = {
      storageUrl: `file:${folder}`,
      sizes: [{ side: 320, format: 'jpg' as const }],
      maxPixels: 2 ** 28,
    }
    const child = await startChild(setup, { deadlineMs: 15_000, memoryBytes: 2 ** 30 })
    onTestFinished(() => child.kill())
    const wrong: string[] = []
    for (const entry of await readdir(corpus as string, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const file = join(entry.parentPath, entry.name)
      await storage.put('photos/odd', await readFile(file))
      const { outcome } = await child.convert({ original: 'photos/odd', detailed: false })
      if (outcome !== 'ok' && outcome !== 'undecodable') wrong.push(`${file}: ${outcome}`)
    }
    expect(wrong).toEqual([])
  },
  120_000,
)
