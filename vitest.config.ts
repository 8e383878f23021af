import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// `unit`: pure modules and ports, seconds. `alone`: such as look at their own process. `system`: whole processes, browsers,
// real parts.
// Not .parts, where the versions of a release are checked out with their tests.
const folders = '{lib,services,slo,dashboards,bench,tools,loadtest,k8s,test}'
/** Each limit is far above what a busy machine needs: a test that fails by one waited for what never came. */
const shared = {
  testTimeout: 180_000,
  hookTimeout: 240_000,
  pool: 'forks' as const,
  expect: { poll: { timeout: 90_000 } },
}

/** A process for each file, which loads every package anew, takes 75 s of processor time. */
const reused = { isolate: false, setupFiles: './test/fresh.ts' }

/** They measure the memory of their process, which would be that of the files before them. */
const alone = ['services/converter/convert.test.ts', 'services/converter/heic.test.ts']

/** A file of a minute that begins last is a minute in which the other workers have nothing to do. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const longest =
      /\/(lib\/(queue|storage|http)|services\/(converter\/worker|logs\/ship|web\/(page\.|show\/photos))|slo\/alerts\/(rules|notifier)|test\/(system|tidy|kills\/|faults\/faults)|loadtest\/main)/
    const rank = ({ project, moduleId }: TestSpecification) =>
      longest.test(moduleId) ? 2 : Number(project.name === 'system')
    // Of one rank those of one project together: a worker goes on with the next file of its project.
    return (await super.sort(files)).toSorted(
      (a, b) => rank(b) - rank(a) || a.project.name.localeCompare(b.project.name),
    )
  }
}

export default defineConfig({
  test: {
    // Processes that tests start find their code compiled, and load nothing to strip types: a third less CPU for a short one.
    // Programs in Go, such as promtool, collect garbage less often: a fifth less CPU.
    env: { NODE_COMPILE_CACHE: `${import.meta.dirname}/node_modules/.cache/node`, GOGC: '400' },
    globalSetup: './test/leaks.ts',
    // Whole-process tests mostly wait: on two cores five files at a time took a tenth less than four.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    // test/summary.ts reads the report.
    reporters: ['default', ['json', { outputFile: '.tmp/tests.json' }]],
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: [`${folders}/**/*.test.ts`],
          exclude: ['**/node_modules/**', '**/*.system.test.ts', ...alone],
          ...reused,
        },
      },
      { test: { ...shared, name: 'alone', include: alone } },
      {
        test: {
          ...shared,
          name: 'system',
          include: [`${folders}/**/*.system.test.ts`],
          exclude: ['**/node_modules/**'],
          testTimeout: 300_000,
          ...reused,
        },
      },
    ],
  },
})
