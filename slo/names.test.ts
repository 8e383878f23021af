import { stages } from '@tintype/lib/telemetry/catalogue.ts'
import { expect, test } from 'vitest'
import { files, isTest, places } from '../test/tidy/sources.ts'
import { readDirectory } from './directory.ts'

/** What knows no service: all that it says of one comes from its directory. */
const rooms =
  'slo/{alerts,cli,diagnose,directory,math,objectives,page,probe,releases,serve,sources}/**/*.{ts,html,json,css}'
/** The first directory that `slo init` writes has names of its own. */
const others = ['slo/cli/first.ts']
/** What any service may wait for. */
const common = ['cpu', 'descriptors', 'dns', 'memory', 'network', 'release', 'tls', 'traffic']

const { objectives, service } = readDirectory()
const words = ['tintype', 'photos?', 'thumbnails?', 'promises', '(?:a|the|each|no) promise']
const quoted = [
  ...stages,
  ...service.stages.map(({ name }) => name),
  ...service.resources.map(({ cause }) => cause),
  ...objectives.map(({ name }) => name),
].filter(name => !common.includes(name))

test('no name of Tintype is in the code for every service', () => {
  const patterns = [
    // `@tintype/lib` is a package, `fs/promises` is of Node; all metrics of Tintype begin with its name.
    new RegExp(`(?<![a-zA-Z@/])(?:${words.join('|')})(?![a-zA-Z])`, 'g'),
    new RegExp(`(['"\`])(?:${quoted.join('|')})\\1`, 'g'),
  ]
  const violations = files(rooms)
    .filter(file => !isTest(file) && !others.includes(file))
    .flatMap(file => patterns.flatMap(pattern => places(file, pattern)))
    .map(({ at, match }) => `${at}: ${match}; take it from the directory of the service (--config)`)
  expect(violations.join('\n')).toBe('')
})
