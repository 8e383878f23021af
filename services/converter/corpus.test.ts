import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startChild } from './children.ts'

const corpus = process.env.CORPUS_DIR

test.skipIf(!corpus)(
  'no file of CORPUS_DIR, however odd, ends a child',
  async () => {
    const setup = { sizes: [{ side: 320, format: 'jpg' as const }], maxPixels: 2 ** 28 }
    const child = await startChild(setup, { deadlineMs: 15_000, memoryBytes: 2 ** 30 })
    onTestFinished(() => child.kill())
    const wrong: string[] = []
    for (const entry of await readdir(corpus as string, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const original = join(entry.parentPath, entry.name)
      const { outcome } = await child.convert({ original, detailed: false })
      if (outcome !== 'ok' && outcome !== 'undecodable') wrong.push(`${original}: ${outcome}`)
    }
    expect(wrong).toEqual([])
  },
  120_000,
)
