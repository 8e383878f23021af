import { defineConfig } from 'vitest/config'

// `unit`: pure modules and ports, seconds. `system`: whole processes, browsers, real parts.
const shared = { testTimeout: 30_000, hookTimeout: 60_000, pool: 'forks' as const }

export default defineConfig({
  test: {
    globalSetup: './test/leaks.ts',
    // Whole-process tests mostly wait: on two cores two files at a time take half as long as one.
    maxWorkers: 2,
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
          exclude: ['**/node_modules/**'],
          testTimeout: 120_000,
        },
      },
    ],
  },
})
