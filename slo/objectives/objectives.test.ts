import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metrics } from '@tintype/lib/telemetry/definitions.ts'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { alertName, rules } from '../alerts/rules.ts'
import { lintParsed } from '../cli/lint.ts'
import { readDirectory, runbookFolders, tintypeFolder } from '../directory.ts'
import { parseDuration, toDuration } from '../math/time.ts'
import type { Selector } from '../sources/index.ts'
import { parseSelector } from '../sources/promql.ts'
import { boundMatcher, matches } from '../sources/selector.ts'
import { openSlo, ratio } from '../test/kinds.ts'
import { lint, lintRunbooks, lintTogether } from './lint.ts'
import type { Reading } from './lint-metrics.ts'
import { formatFinding, parseFiles, parseObjectives } from './objectives.ts'

const objectivesFolder = join(tintypeFolder, 'objectives')
const latency = readFileSync(join(objectivesFolder, 'latency.yaml'), 'utf8')
const availability = readFileSync(join(objectivesFolder, 'availability.yaml'), 'utf8')

function readObjectives(folder: string) {
  const parsed = parseFiles([folder])
  const findings = parsed.flatMap(each => each.findings)
  if (findings.length > 0) throw new Error(findings.map(formatFinding).join('\n'))
  return parsed.flatMap(({ objectives }) => objectives)
}

const lintFiles = (paths: string[], reading: Reading) => lintParsed(parseFiles(paths), reading)
const recorder = (keepDays: number) => ({ source: 'recorder', keepDays, catalogue: metrics }) as const

const lintedIn = (text: string) => lintParsed(parseObjectives('x.yaml', text), recorder(0))

const findings = (text: string): string[] =>
  lintedIn(text).map(({ line, column, rule }) => `${line}:${column} ${rule}`)

/** Where a text begins to say something, as line:column. */
function place(text: string, marker: string): string {
  const before = text.slice(0, text.indexOf(marker)).split('\n')
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

const annotated = (text: string, line: string) =>
  text.replace('  annotations:\n', `  annotations:\n    slo/${line}\n`)

describe('an objective', () => {
  test('our own have no finding', () => {
    expect(lintFiles([objectivesFolder], recorder(35))).toEqual([])
  })

  test('a further one is one YAML file and nothing else', async () => {
    const folder = await temporaryFolder()
    cpSync(objectivesFolder, folder, { recursive: true })
    const receive = latency
      .replace('name: latency', 'name: receive')
      .replace('    slo/runbook: docs/runbooks/latency-budget-burn.md\n', '')
      .replace(
        'tintype_promises_total{outcome="kept"}',
        String.raw`tintype_stage_seconds_bucket{stage="receive",le=~"5(\\.0)?"}`,
      )
      .replace(
        'tintype_promises_total{outcome=~"kept|broken"}',
        'tintype_stage_seconds_count{stage="receive"}',
      )
    writeFileSync(join(folder, 'receive.yaml'), receive)
    const objectives = readObjectives(folder)
    const names = (all: typeof objectives) => all.map(({ name }) => name).toSorted()
    expect(names(objectives)).toEqual([...names(readObjectives(objectivesFolder)), 'receive'].toSorted())
    expect(lintFiles([folder], recorder(35))).toEqual([])
    expect(rules(objectives).groups.map(({ name }) => name)).toContain('tintype-receive')
    expect(objectives.map(alertName)).toContain('ReceiveBudgetBurn')
  })

  test('anchors, aliases and merged maps are what they stand for', () => {
    const twice = latency.replace(
      'target: 0.99',
      '<<: &common { target: 0.99 }\n    - <<: *common\n      displayName: Twice',
    )
    const [first, second] = parseObjectives('x.yaml', twice).flatMap(each => each.objectives)
    expect(second).toMatchObject({ name: 'latency-twice', target: { numerator: 99, denominator: 100 } })
    expect(second?.target).toEqual(first?.target)
  })

  test.each([
    ['a target of 100', latency.replace('target: 0.99', 'target: 100'), '100', 'shape'],
    [
      'a target without a budget',
      latency.replace('0.99', '0.99999999999999999'),
      '0.99999999999999999',
      'shape',
    ],
    ['an alias of nothing', latency.replace('0.99', '*none'), 'apiVersion', 'yaml'],
    ['no target', latency.replace(/ {6}target: 0.99\n/, ''), 'displayName: Promises kept', 'shape'],
    ['another kind', latency.replace('kind: SLO', 'kind: SLA'), 'SLA', 'shape'],
    ['a misspelt key', latency.replace('budgetingMethod', 'budgetMethod'), 'Occurrences', 'shape'],
    ['a window of two years', latency.replace('duration: 1d', 'duration: 104w'), '104w', 'shape'],
    ['a function of a counter', latency.replace('query: tintype', 'query: rate(tintype'), 'rate(', 'shape'],
    ['bytes that are not UTF-8', latency.replace('thumbnail', '\uFFFDber'), '\uFFFD', 'yaml'],
    ['broken YAML', latency.replace('kind: SLO', 'kind: [SLO'), 'metadata', 'yaml'],
    ['an empty file', '', '', 'shape'],
    [
      'good and bad',
      latency.replace(
        '        total:',
        '        bad: { metricSource: { spec: { query: up } } }\n        total:',
      ),
      '{ metricSource',
      'shape',
    ],
    [
      'a value without a threshold',
      latency.replace('target: 0.99', 'target: 0.99\n      value: 3'),
      '3\n',
      'shape',
    ],
    ['slices of Occurrences', `${latency}      timeSliceTarget: 0.9\n`, '0.9\n', 'shape'],
    [
      'a slice target above 1',
      availability.replace('timeSliceTarget: 1', 'timeSliceTarget: 1.1'),
      '1.1',
      'shape',
    ],
    ['a month that rolls', latency.replace('duration: 1d', 'duration: 1M'), '1M', 'shape'],
    [
      'a calendar without a start',
      latency.replace('isRolling: true', 'isRolling: false'),
      'duration: 1d',
      'shape',
    ],
    ['no service', latency.replace('  service: tintype\n', ''), 'description', 'shape'],
    ['a grouping that is no label', annotated(latency, 'group-by: a b'), 'a b', 'shape'],
    ['a grouping by the name of the metric', annotated(latency, 'group-by: __name__'), '__name__', 'shape'],
    ['a misspelt annotation', annotated(latency, 'tier: x'), 'x\n', 'shape'],
  ])('%s is an error with its place', (_, text, marker, rule) => {
    expect(findings(text)).toContain(`${place(text, marker)} ${rule}`)
  })

  test('a window longer than the recorder keeps its minutes is an error, unless a Prometheus keeps them', async () => {
    const folder = await temporaryFolder()
    const text = latency.replace('duration: 1d', 'duration: 36d')
    writeFileSync(join(folder, 'latency.yaml'), text)
    expect(lintFiles([folder], recorder(35))).toMatchObject([
      {
        severity: 'error',
        rule: 'window-not-kept',
        message: 'the window is 36d, and the recorder keeps minutes for 35 days',
      },
    ])
    expect(lintFiles([folder], recorder(36))).toEqual([])
    expect(lintFiles([folder], recorder(0))).toEqual([])
  })

  test('several documents and several entries are objectives of their own, with places in the file', () => {
    const two = availability.replace(
      /( {2}objectives:\n)[\s\S]*$/,
      `$1    - { displayName: Most, target: 0.9 }\n    - { displayName: "Nearly all (99 %)", target: 0.99 }\n    - { target: 0.95 }\n`,
    )
    const text = `${latency}---\n${two}`
    const parsed = parseObjectives('x.yaml', text)
    expect(parsed.flatMap(({ objectives }) => objectives.map(({ name }) => name))).toEqual([
      'latency',
      'availability-most',
      'availability-nearly-all-99',
      'availability-3',
    ])
    expect(parsed[1]?.objectives[1]?.displayName).toBe('Online 23 of every 24 hours: Nearly all (99 %)')
  })

  test('an SLI of another file is the indicator of the objective that names it, and other kinds are passed over', async () => {
    const folder = await temporaryFolder()
    const indicator = / {2}indicator:\n(?: {4}.*\n)+/.exec(latency)?.[0] ?? ''
    const spec = /(?: {6}ratioMetric:\n)(?: {8}.*\n)+/.exec(indicator)?.[0] ?? ''
    const head = (kind: string, name: string) =>
      `apiVersion: openslo/v1\nkind: ${kind}\nmetadata: { name: ${name} }\n`
    writeFileSync(
      join(folder, 'z.yaml'),
      `${head('SLI', 'kept')}spec:\n      description:\n${spec}---\n${head('Service', 'shop')}spec: {}\n`,
    )
    writeFileSync(join(folder, 'a.yaml'), latency.replace(indicator, '  indicatorRef: kept\n'))
    const [inline] = parseObjectives('x.yaml', latency)[0]?.objectives ?? []
    expect(readObjectives(folder)).toMatchObject([{ name: 'latency', sli: inline?.sli }])
    expect(lintFiles([folder], recorder(0))).toEqual([])
    const sli = join(folder, 'z.yaml')
    const mistyped = readFileSync(sli, 'utf8').replace('outcome="kept"', 'outcome=kept')
    writeFileSync(sli, mistyped)
    const [wrong] = lintFiles([folder], recorder(0))
    expect(`${wrong?.file}:${wrong?.line}:${wrong?.column}`).toBe(
      `${sli}:${place(mistyped, 'tintype_promises_total{outcome=kept')}`,
    )
    expect(wrong?.message).toContain('outcome=kept')
    cpSync(sli, join(folder, 'zz.yaml'))
    expect(lintFiles([folder], recorder(0))).toMatchObject([
      { file: join(folder, 'a.yaml'), message: 'spec.indicatorRef is "kept"' },
    ])
    rmSync(join(folder, 'zz.yaml'))
    writeFileSync(join(folder, 'a.yaml'), latency.replace(indicator, '  indicatorRef: other\n'))
    expect(lintFiles([folder], recorder(0))).toMatchObject([
      {
        message: 'spec.indicatorRef is "other"',
        fix: 'it must be the name of one SLI in these files, without an indicator beside it',
      },
    ])
  })

  test('a list of documents, a percentage, a calendar without isRolling and a quarter are read as OpenSLO has them', () => {
    const text = latency
      .replace('target: 0.99', 'targetPercent: 99.9')
      .replace('duration: 1d', 'duration: 1Q')
      .replace('isRolling: true', 'calendar: { startTime: 2026-01-01 00:00:00, timeZone: Asia/Seoul }')
      .replace('counter: true', 'counter: true')
    const list = `- ${text.replaceAll('\n', '\n  ').trim()}\n- ${availability.replaceAll('\n', '\n  ').trim()}\n`
    const [quarter, second] = parseObjectives('x.yaml', list).flatMap(({ objectives }) => objectives)
    expect(quarter).toMatchObject({
      target: { numerator: 999, denominator: 1000 },
      windowMinutes: 129_600,
      calendar: { count: 3, unit: 'M', timeZone: 'Asia/Seoul' },
    })
    expect(second?.name).toBe('availability')
    const wrong = list.replace('99.9', '999')
    expect(findings(wrong)).toContain(`${place(wrong, '999')} shape`)
    expect(findings(list.replace('targetPercent: 99.9', 'targetPercent: "99"')).join()).toContain('shape')
  })

  test('labels, alert policies and a service of any name are no errors', () => {
    const text = latency
      .replace('  annotations:', '  labels: { team: [a, b] }\n  annotations:\n    other.com/x: 1')
      .replace('service: tintype', 'service: TheService.v2')
      .replace('          counter: true\n', '')
      .concat('  alertPolicies:\n    - alertPolicyRef: fast\n')
    expect(findings(text).map(each => each.split(' ')[1])).toEqual(['own-alerts'])
    expect(findings(text.replace('    - alertPolicyRef: fast\n', ''))).toEqual([])
  })

  test('empty documents, files of comments and hidden files are passed over, folders in the folder are read', async () => {
    const folder = await temporaryFolder()
    for (const name of ['team', 'shared.yaml', '..data']) mkdirSync(join(folder, name))
    writeFileSync(join(folder, 'team', 'a.yml'), `---\n# Ours.\n---\n${latency}---\n`)
    writeFileSync(join(folder, 'retired.yaml'), latency.replaceAll(/^/gm, '# '))
    for (const name of ['._a.yaml', '..data/a.yaml']) writeFileSync(join(folder, name), latency)
    expect(lintFiles([folder], recorder(0))).toEqual([])
    expect(readObjectives(folder)).toHaveLength(1)
  })

  test('a link to a folder is followed, and one to a file that does not exist is an error', async () => {
    const [folder, team] = [await temporaryFolder(), await temporaryFolder()]
    writeFileSync(join(team, 'a.yaml'), latency)
    symlinkSync(team, join(folder, 'team'))
    expect(readObjectives(folder).map(({ name }) => name)).toEqual(['latency'])
    symlinkSync('nowhere', join(folder, 'b.yaml'))
    expect(() => readObjectives(folder)).toThrow(/no such file .*b\.yaml/)
  })

  test('a file is read once, also where links lead to the folder that they are in', async () => {
    const folder = await temporaryFolder()
    writeFileSync(join(folder, 'a.YAML'), latency)
    writeFileSync(join(folder, 'b.json'), openSlo('b', ratio({ bad: 'a_total' }, 'b_total'), { target: 0.9 }))
    for (const name of ['one', 'other']) symlinkSync('.', join(folder, name))
    expect(readObjectives(folder).map(({ name }) => name)).toEqual(['latency', 'b'])
  })

  test('a duration is read as it is shown', () => {
    for (const [text, minutes] of [
      ['1h30m', 90],
      ['1d12h', 2160],
      ['2w', 20_160],
      ['90m', 90],
    ] as const)
      expect(parseDuration(text)).toBe(minutes)
    for (const text of ['', '0m', '5', '30s', 'm', '1m1h', 'h30m'])
      expect(parseDuration(text)).toBeUndefined()
    expect([90, 2160, 1441].map(minutes => parseDuration(toDuration(minutes)))).toEqual([90, 2160, 1441])
  })

  test('a list of one is not the text in it', () => {
    const text = latency.replace('budgetingMethod: Occurrences', 'budgetingMethod: [Occurrences]')
    expect(findings(text)).toEqual([`${place(text, '[Occurrences]')} shape`])
  })

  test('a comment in a query is no part of it', () => {
    const text = openSlo('fast', ratio({ bad: 'a' }, 'max(b) # all\n'), { target: 0.9 })
    const [objective] = parseObjectives('x.yaml', text)[0]?.objectives ?? []
    expect(objective?.sli).toMatchObject({ total: { promql: 'max(b)' } })
  })

  test.each(['page-fast 15m/2m 0%', 'page-fast 15m/2m 10%, page-fast 1h/5m 20%'])(
    'tiers that mean nothing are refused: %s',
    tiers => {
      const text = annotated(latency, `tiers: "${tiers}"`)
      expect(findings(text)).toEqual([`${place(text, '"page-fast')} shape`])
    },
  )

  test('a second window is refused, not passed over', () => {
    const text = latency.replace(
      'isRolling: true',
      'isRolling: true\n    - { duration: 7d, isRolling: true }',
    )
    expect(findings(text)).toEqual([`${place(text, '{ duration: 7d')} shape`])
  })

  test('a name that a report has for something else is refused', () => {
    const text = latency.replace('name: latency', 'name: witnesses')
    expect(findings(text)).toEqual([`${place(text, 'witnesses')} shape`])
  })

  test('two services may have objectives of one name; one service may not', async () => {
    const folder = await temporaryFolder()
    writeFileSync(join(folder, 'a.yaml'), latency)
    writeFileSync(join(folder, 'b.yaml'), latency.replace('service: tintype', 'service: other'))
    writeFileSync(join(folder, 'c.yaml'), availability)
    const objectives = readObjectives(folder)
    expect(objectives.map(({ id }) => id)).toEqual(['tintype/latency', 'other/latency', 'availability'])
    expect(rules(objectives).groups.map(({ name }) => name)).toContain('other-latency')
    writeFileSync(
      join(folder, 'c.yaml'),
      `${latency.replace('service: tintype', 'service: other-latency')}---\n${openSlo('latency-latency', ratio({ bad: 'a' }, 'b'), { service: 'other', target: 0.9 })}`,
    )
    const groups = rules(readObjectives(folder)).groups.map(({ name }) => name)
    expect(new Set(groups).size).toBe(groups.length)
    writeFileSync(join(folder, 'd.yaml'), latency)
    expect(() => readObjectives(folder)).toThrow(
      /d\.yaml:4:9: error: .*a\.yaml has the name latency already, for the same service/,
    )
  })

  test('a calendar window, a part that is bad and a threshold are read', () => {
    const month = latency
      .replace('duration: 1d', 'duration: 1M')
      .replace(
        'isRolling: true',
        'isRolling: false\n      calendar: { startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin }',
      )
      .replace('good:', 'bad:')
    const [objective] = parseObjectives('x.yaml', month)[0]?.objectives ?? []
    expect(objective).toMatchObject({
      windowMinutes: 43_200,
      calendar: { count: 1, unit: 'M', startTime: '2026-01-01 00:00:00', timeZone: 'Europe/Berlin' },
      sli: { kind: 'ratio', counts: 'bad' },
    })
    expect(findings(month)).toEqual([`${place(month, 'false\n')} calendar-in-rules`])
    const text = openSlo(
      'fast',
      { thresholdMetric: { metricSource: { type: 'Prometheus', spec: { query: 'p99_seconds' } } } },
      { method: 'Timeslices', op: 'lte', value: 0.5, timeSliceTarget: 0.9, target: 0.95 },
    )
    const [threshold] = parseObjectives('x.yaml', text)[0]?.objectives ?? []
    expect(threshold).toMatchObject({
      sliceTarget: { numerator: 9, denominator: 10 },
      sli: { kind: 'threshold', gauge: 'p99_seconds', operator: 'lte', value: 0.5 },
    })
    expect(findings(text).map(each => each.split(' ')[1])).toEqual(['needs-prometheus'])
  })

  test('objectives that all count events alert nothing when the service is away, which is a warning', () => {
    const of = (...texts: string[]) =>
      lintTogether(parseObjectives('x.yaml', texts.join('\n---\n'))).map(({ rule }) => rule)
    expect(of(latency)).toEqual(['only-events'])
    expect(of(latency, availability)).toEqual([])
    expect(of('')).toEqual([])
  })

  test('a runbook that slo does not serve is a warning, as the alert would link to nothing', () => {
    const folders = runbookFolders(readDirectory())
    const found = (runbook: string) => {
      const text = latency.replace('docs/runbooks/latency-budget-burn.md', runbook)
      return lintRunbooks(parseObjectives('x.yaml', text), folders).map(({ line, rule }) => `${line} ${rule}`)
    }
    const served = [
      'docs/runbooks/budget-burn.md#do-first',
      'https://wiki.example/x',
      'docs/runbooks/cause-cpu.md',
    ]
    expect(served.flatMap(found)).toEqual([])
    for (const missing of ['docs/runbooks/late.md', 'runbooks/budget-burn.md', 'slo/runbooks/budget-burn.md'])
      expect(found(missing)).toEqual(['7 no-runbook'])
  })

  test('every error of every file is reported at once', async () => {
    const folder = await temporaryFolder()
    writeFileSync(join(folder, 'a.yaml'), latency.replace('target: 0.99', 'target: .nan'))
    writeFileSync(join(folder, 'b.yaml'), availability.replace('Timeslices', 'Timeslice'))
    expect(() => readObjectives(folder)).toThrow(
      /a\.yaml:\d+:15: error: .* is "NaN"; .*\n.*b\.yaml:\d+:\d+: error: .*Timeslice/,
    )
  })
})

describe('the lint', () => {
  const bucket = (le: string) =>
    latency
      .replace('tintype_promises_total{outcome="kept"}', `tintype_photo_seconds_bucket${le}`)
      .replace('tintype_promises_total{outcome=~"kept|broken"}', 'tintype_photo_seconds_count')
  test.each([
    [0.9, ''],
    [0.5, ''],
    [0.01, ''],
    [0.01, 'page-fast 15m/2m 2%'],
  ])(
    'the tiers that it proposes for a target of %d, which the usual ones or "%s" do not reach, have no fault',
    (target, tiers) => {
      const text = latency
        .replace('target: 0.99', `target: ${target}`)
        .replace('duration: 1d', 'duration: 30d')
      const [unreachable] = lintedIn(tiers ? annotated(text, `tiers: "${tiers}"`) : text)
      expect(unreachable?.rule).toBe('factor-unreachable')
      const [, proposed] = /slo\/tiers: (.*)/.exec(unreachable?.fix ?? '') ?? []
      expect(lintedIn(annotated(text, `tiers: "${proposed}"`))).toEqual([])
    },
  )
  test.each([
    [
      'a factor that everything bad does not reach',
      latency.replace('target: 0.99', 'target: 0.8'),
      '0.8',
      'factor-unreachable',
    ],
    [
      'a minimum of more bad minutes than the tier looks at',
      annotated(availability, 'minimum-bad: page 16, ticket 2'),
      'page 16',
      'minimum-unreachable',
    ],
    [
      'a tier that fires after its budget',
      annotated(latency, 'tiers: "ticket-slow 6h/30m 101%"'),
      '"ticket-slow',
      'share-over-one',
    ],
    [
      'a long window as long as the objective',
      annotated(latency, 'tiers: "ticket-slow 1d/2h 30%"'),
      '"ticket-slow',
      'long-window',
    ],
    [
      'a short window of one slot',
      annotated(latency, 'tiers: "page-fast 15m/1m 10%"'),
      '"page-fast',
      'short-window',
    ],
    ['too little traffic for a tier', annotated(latency, 'events-per-day: "143"'), '"143"', 'too-few-events'],
    [
      'a tier that clears late',
      annotated(latency, 'tiers: "ticket-slow 6h/90m 30%"'),
      '"ticket-slow',
      'slow-to-clear',
    ],
    [
      'an expression that the recorder cannot read',
      latency.replace('query: tintype_promises_total{outcome="kept"}', 'query: max(tintype_promises_total)'),
      'max(',
      'needs-prometheus',
    ],
    [
      'an increase of an increase',
      latency.replace(
        'query: tintype_promises_total{outcome="kept"}',
        'query: max(rate(tintype_promises_total[5m]))',
      ),
      'max(rate',
      'no-counter',
    ],
    [
      'a count of series',
      latency.replace(
        'query: tintype_promises_total{outcome=~"kept|broken"}',
        'query: count(tintype_promises_total)',
      ),
      'count(',
      'no-counter',
    ],
    ...['max(tintype_promises_total) / max(tintype_queue_depth)', 'tintype_promises_total > bool 1'].map(
      (query): [string, string, string, string] => [
        `no counter in ${query}`,
        latency.replace('tintype_promises_total{outcome=~"kept|broken"}', query),
        query,
        'no-counter',
      ],
    ),
    [
      'a recorded rate',
      latency.replace(
        'query: tintype_promises_total{outcome=~"kept|broken"}',
        'query: job:promises:rate5m{job="web"}',
      ),
      'job:promises',
      'no-counter',
    ],
    [
      'a grouping by a label of the rules',
      annotated(latency, 'group-by: service'),
      'service\n    slo',
      'own-label',
    ],
    [
      'a computed query without the label of its groups',
      annotated(
        latency.replace(
          'query: tintype_promises_total{outcome="kept"}',
          'query: max(tintype_promises_total)',
        ),
        'group-by: job',
      ),
      'job\n    slo',
      'lost-label',
    ],
    [
      'a grouping by a label of another metric',
      annotated(
        latency.replace(
          'query: tintype_promises_total{outcome="kept"}',
          'query: tintype_promises_total * on (job) group_left (team) owner',
        ),
        'group-by: team',
      ),
      'team\n    slo',
      'lost-label',
    ],
    [
      'a part that is the whole',
      latency.replace(
        'tintype_promises_total{outcome="kept"}',
        'tintype_promises_total{outcome=~"kept|broken"}',
      ),
      'tintype_promises_total{outcome=~',
      'same-query',
    ],
    [
      'a part that counts the whole in other words',
      latency.replace(
        'query: tintype_promises_total{outcome="kept"}',
        'query: sum(tintype_promises_total{outcome=~"kept|broken"})',
      ),
      'sum(tintype',
      'same-query',
    ],
    [
      'a part and a total that are exchanged',
      latency
        .replace('promises_total{outcome="kept"}', 'promises_total')
        .replace('outcome=~"kept|broken"', 'outcome="kept"'),
      'tintype_promises_total\n',
      'same-query',
    ],
    [
      'a pattern for which Prometheus would refuse all rules',
      latency.replace('tintype_promises_total{outcome="kept"}', 'tintype_promises_total{outcome=~"kept["}'),
      'tintype_promises_total{outcome=~"kept["',
      'shape',
    ],
    ['a missing bucket', bucket('{le="55"}'), 'tintype_photo_seconds_bucket', 'missing-bucket'],
    ['no bucket at all', bucket(''), 'tintype_photo_seconds_bucket', 'missing-bucket'],
    [
      'a bucket that one Prometheus writes otherwise',
      bucket('{le="60"}'),
      'tintype_photo_seconds_bucket',
      'bucket-text',
    ],
    [
      'an unknown metric',
      latency.replaceAll('tintype_promises', 'tintype_promise'),
      'tintype_promise_total',
      'unknown-metric',
    ],
    [
      'a gauge',
      latency.replace('tintype_promises_total{outcome="kept"}', 'tintype_queue_depth'),
      'tintype_queue_depth',
      'no-counter',
    ],
    [
      'a grouping by a label that only the total has',
      annotated(latency, 'group-by: outcome').replace(
        'tintype_promises_total{outcome="kept"}',
        'tintype_storage_seconds_count',
      ),
      'tintype_storage_seconds_count',
      'unknown-label',
    ],
    [
      'a label value that never is',
      latency.replace('outcome="kept"', 'outcome="keep"'),
      'tintype_promises_total{outcome="keep"}',
      'unknown-label',
    ],
    [
      'a target whose budget is no whole minutes',
      availability.replace('0.9583333333333334', '0.9583'),
      '0.9583\n',
      'inexact-target',
    ],
    [
      'a target that one minute breaks',
      availability.replace('0.9583333333333334', '0.99999'),
      '0.99999',
      'no-budget',
    ],
  ])('finds %s', (_, text, marker, rule) => {
    expect(findings(text)).toContain(`${place(text, marker)} ${rule}`)
  })

  test('warns of a bound that one Prometheus writes otherwise where the metrics are not known', () => {
    const severities = (le: string) =>
      parseObjectives('x.yaml', bucket(le)).flatMap(({ document, objectives }) =>
        lint(document, objectives, { source: 'prometheus', keepDays: 0 }).map(({ severity }) => severity),
      )
    expect(severities('{le="2.0"}')).toEqual(['warning'])
    expect(severities('{le="0.5"}')).toEqual([])
  })

  test.each([
    ['job:http_request_duration_seconds_count:sum', []],
    ['job:operations_total:sum', []],
    ['slo:errors:ratio_rate1h30m', ['no-counter']],
    ['slo:total:increase1m', ['no-counter']],
  ])('a recorded metric %s is no counter only if a word of its name says so', (metric, rules) => {
    const [parsed] = parseObjectives(
      'x.yaml',
      openSlo('x', ratio({ bad: 'x{bad="1"}' }, metric), { target: 0.9 }),
    )
    const { document, objectives } = parsed as NonNullable<typeof parsed>
    const findings = lint(document, objectives, { source: 'prometheus', keepDays: 0 })
    expect(findings.map(({ rule }) => rule)).toEqual(rules)
  })

  test('accepts the bucket as both versions of Prometheus write it', () => {
    expect(findings(bucket(String.raw`{le=~"60(\\.0)?"}`))).toEqual([])
  })

  test.each([
    [60, String.raw`le=~"60(\\.0)?"`, ['60', '60.0']],
    [0.5, 'le="0.5"', ['0.5']],
    [1_000_000, String.raw`le=~"1000000|1e\\+06"`, ['1000000', '1e+06']],
    [1_048_576, String.raw`le=~"1048576|1.048576e\\+06"`, ['1048576', '1.048576e+06']],
    [0.00001, 'le=~"0.00001|1e-05"', ['0.00001', '1e-05']],
  ])('the bound %s is matched as JavaScript and Go write it', (bound, expected, texts) => {
    const matcher = boundMatcher(bound)
    expect(matcher).toBe(expected)
    const selector = parseSelector(`a{${matcher}}`) as Selector
    expect(texts.filter(le => matches(selector, { le }))).toEqual(texts)
  })
})
