import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// `unit`: pure modules and ports, seconds. `system`: whole processes, browsers, real parts.
const shared = { testTimeout: 30_000, hookTimeout: 60_000, pool: 'forks' as const }

/** A file of a minute that begins last is a minute in which one worker has nothing to do. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isSystem = ({ project }: TestSpecification) => Number(project.name === 'system')
    return (await super.sort(files)).toSorted((a, b) => isSystem(b) - isSystem(a))
  }
}

export default defineConfig({
  test: {
    globalSetup: './test/leaks.ts',
    // Whole-process tests mostly wait: on two cores four files at a time took 334 s where three took 392.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // test/summary.ts reads the report.
    reporters: ['default', ['json', { outputFile: '.tmp/tests.json' }]],
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['{lib,services,slo,dashboards,bench,tools,loadtest,k8s,test}/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.system.test.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'system',
          include: ['**/*.system.test.ts'],
          // .parts holds other versions of this repository, with tests of their own.
          exclude: ['**/node_modules/**', '.parts/**'],
          testTimeout: 120_000,
        },
      },
    ],
  },
})
