import { stages } from '@tintype/lib/telemetry/catalogue.ts'
import { metrics } from '@tintype/lib/telemetry/definitions.ts'
import { expect, test } from 'vitest'
import { files, isTest, places } from '../test/tidy/sources.ts'
import { readDirectory } from './directory.ts'

/** What knows no service: all that it says of one comes from its directory. */
const rooms = [
  'slo/objectives/**/*.ts',
  'slo/math/**/*.ts',
  'slo/sources/**/*.ts',
  'slo/alerts/{rules,recordings}.ts',
  'slo/diagnose/**/*.ts',
  'slo/cli/{backtest,diagnose,budget,lint,report,rules}.ts',
]

const { objectives, service } = readDirectory()
const words = ['tintype', 'photos?', 'thumbnails?', 'promises?', ...Object.keys(metrics)]
const quoted = [
  ...stages,
  ...service.stages.map(({ name }) => name),
  ...service.resources.map(({ cause }) => cause),
  ...objectives.map(({ name }) => name),
]

test('no name of Tintype is in the code for every service', () => {
  const patterns = [
    // `@tintype/lib` is a package.
    new RegExp(`(?<![a-zA-Z@])(?:${words.join('|')})(?![a-zA-Z])`, 'g'),
    new RegExp(`(['"\`])(?:${quoted.join('|')})\\1`, 'g'),
  ]
  const violations = rooms
    .flatMap(files)
    .filter(file => !isTest(file))
    .flatMap(file => patterns.flatMap(pattern => places(file, pattern)))
    .map(({ at, match }) => `${at}: ${match}; take it from the directory of the service (--config)`)
  expect(violations.join('\n')).toBe('')
})
