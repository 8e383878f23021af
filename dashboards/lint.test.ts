import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { metrics } from '../lib/telemetry/definitions.ts'
import { createMetrics } from '../lib/telemetry/metrics.ts'
import { recorded } from '../slo/alerts/rules.ts'
import { dashboards } from './all.ts'
import { type Dashboard, lint, metricsOf, rules } from './lint.ts'
import { fileOf, render } from './main.ts'

const parsed = (index = 0): Dashboard => JSON.parse(render(dashboards[index] as never))

/** What Node and Prometheus themselves expose, beside the catalogue and what slo's rules record. */
const others = new Set(['ALERTS', ...Object.values(recorded)])
const process = await createMetrics('web', 'test')
  .render(undefined)
  .then(
    ({ body }) => new Set([...body.matchAll(/^((?:process|nodejs)_\w+)/gm)].map(([, name]) => name ?? '')),
  )
const isKnown = (name: string): boolean =>
  name in metrics ||
  name.replace(/_(bucket|sum|count)$/, '') in metrics ||
  others.has(name) ||
  process.has(name)

describe.each(dashboards.map(spec => [spec.uid, spec] as const))('%s', (uid, spec) => {
  test('breaks no rule of the dashboard linter', () => {
    expect(lint(JSON.parse(render(spec)))).toEqual([])
  })
  test('reads only metrics that a process exposes or a rule records', () => {
    const read = spec.rows
      .flatMap(({ panels }) => panels)
      .flatMap(({ title, queries }) =>
        queries.flatMap(({ expr }) => metricsOf(expr).map(metric => [title, metric])),
      )
    expect(read.filter(([, metric = '']) => !isKnown(metric))).toEqual([])
  })
  test('is committed as the code makes it', () => {
    expect(readFileSync(fileOf(uid), 'utf8'), 'run npm run dashboards').toBe(render(spec))
  })
})

type Panel = Dashboard['panels'][number]

/** One way to break each rule: a linter that finds nothing proves nothing. */
const breaks: Record<string, (dashboard: Dashboard) => void> = {
  'template-datasource-rule': ({ templating }) => void templating.list.shift(),
  'template-job-rule': dashboard => void Object.assign(variable(dashboard, 'job'), { allValue: '' }),
  'template-instance-rule': dashboard =>
    void Object.assign(variable(dashboard, 'instance'), { multi: false }),
  'panel-datasource-rule': dashboard => void Object.assign(panel(dashboard), { datasource: { uid: 'mine' } }),
  'panel-title-description-rule': dashboard => void delete panel(dashboard).description,
  'panel-units-rule': dashboard => void delete panel(dashboard).fieldConfig?.defaults.unit,
  'panel-no-targets-rule': dashboard => void Object.assign(panel(dashboard), { targets: [] }),
  'target-promql-rule': dashboard => setExpr(dashboard, 'sum(rate('),
  'target-rate-interval-rule': dashboard =>
    setExpr(dashboard, 'rate(a_total{job=~"$job", instance=~"$instance"}[5m])'),
  'target-job-rule': dashboard => setExpr(dashboard, 'up{instance=~"$instance"}'),
  'target-instance-rule': dashboard => setExpr(dashboard, 'up{job=~"$job"}'),
  'target-counter-agg-rule': dashboard => setExpr(dashboard, 'a_total{job=~"$job", instance=~"$instance"}'),
  'uneditable-dashboard': dashboard => void Object.assign(dashboard, { editable: true }),
}

test.each(Object.keys(rules))('a dashboard that breaks %s is found', rule => {
  const dashboard = parsed()
  breaks[rule]?.(dashboard)
  expect(lint(dashboard)).toContainEqual(expect.stringMatching(new RegExp(`^${rule}: `)))
})

function panel(dashboard: Dashboard): Panel {
  return dashboard.panels.find(({ type }) => type !== 'row') as Panel
}

function variable(dashboard: Dashboard, name: string) {
  return dashboard.templating.list.find(each => each.name === name) as Dashboard['templating']['list'][number]
}

function setExpr(dashboard: Dashboard, expr: string): void {
  for (const target of panel(dashboard).targets ?? []) target.expr = expr
}
