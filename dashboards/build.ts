import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { expressionFor, metricsOf } from './promql.ts'
import type { DashboardSpec, PanelSpec, Query, Threshold } from './spec.ts'

const datasource = { type: 'prometheus', uid: '$datasource' }

/** The pages' colours: amber is late; red means only a broken objective. */
const colours = { good: '#6f8f72', late: '#d98e04', broken: '#c0392b', unknown: '#8a8580' } as const

const builders = {
  timeseries: () => new timeseries.PanelBuilder(),
  stat: () => new stat.PanelBuilder(),
  bars: () => new bargauge.PanelBuilder(),
  strip: () => new statetimeline.PanelBuilder(),
}
type AnyPanel = ReturnType<(typeof builders)[keyof typeof builders]>

/** Variables of every dashboard. A cluster's own Prometheus may lack `cluster` and `namespace`, which All matches. */
const everywhere = [
  { name: 'cluster', label: 'Cluster', all: '.*' },
  { name: 'namespace', label: 'Namespace', all: '.*' },
  { name: 'job', label: 'Job', all: '.+' },
  { name: 'instance', label: 'Instance', all: '.+' },
] as const

const fixed = ({ scope: { selectors } }: DashboardSpec) =>
  Object.entries(selectors).map(([label, value]) => `${label}=${JSON.stringify(value)}`)

/** A panel's query as Grafana sends it, except for the variables. */
export const expressionOf = ({ scope }: DashboardSpec, { expr }: Query): string =>
  expressionFor(
    expr,
    scope,
    everywhere.map(({ name }) => name),
  )

/**
 * Builds Grafana's dashboard JSON from a specification.
 * @throws ExpectedError with the panel's title when an expression is not PromQL, or with the name of a variable that
 * Grafana cannot have
 */
export function build(spec: DashboardSpec): dashboard.Dashboard {
  const { service } = spec
  const builder = new dashboard.DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags([service])
    .readonly()
    .refresh('30s')
    .time({ from: `now-${spec.hours ?? 3}h`, to: 'now' })
    .timezone('browser')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .link(
      new dashboard.DashboardLinkBuilder(service)
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags([service])
        .keepTime(true),
    )
  for (const page of spec.pages ?? [])
    builder.link(new dashboard.DashboardLinkBuilder(page.title).url(`$${page.name}`).targetBlank(true))
  for (const variable of variables(spec)) builder.withVariable(variable)
  // A shared dashboard of Grafana asks for the data of a panel by the id in its file.
  let id = 0
  for (const row of spec.rows) {
    builder.withRow(new dashboard.RowBuilder(row.title).id(++id))
    for (const panel of row.panels) builder.withPanel(buildPanel(spec, panel).id(++id))
  }
  const built = builder.build()
  const names = built.templating?.list?.map(({ name }) => name) ?? []
  const wrong = names.find((name, i) => !/^\w+$/.test(name) || names.indexOf(name) !== i)
  if (wrong !== undefined)
    throw new ExpectedError(
      `${spec.title}: "${wrong}" of labels or pages cannot be a variable: its name must consist of letters, digits and _, and be used once; the dashboard has ${names.join(', ')}`,
    )
  return built
}

/** The queries for the values of variables: from the dashboard's metrics, filtered by the preceding variables. */
export function variableQueries(
  spec: DashboardSpec,
): { name: string; label: string; all: string; query: string }[] {
  const queries = spec.rows.flatMap(({ panels }) => panels.flatMap(panel => panel.queries))
  const read = `__name__=~"${[...new Set(queries.flatMap(({ expr }) => metricsOf(expr)))].sort().join('|')}"`
  const own = Object.entries(spec.labels ?? {}).map(([name, metric]) => {
    const label = name.charAt(0).toUpperCase() + name.slice(1)
    return { name, label, all: '.+', query: `label_values(${metric}, ${name})` }
  })
  const shared = everywhere.map((variable, i) => {
    const before = everywhere.slice(0, i).map(({ name }) => `${name}=~"$${name}"`)
    const query = `label_values({${[read, ...fixed(spec), ...before].join(', ')}}, ${variable.name})`
    return { ...variable, query }
  })
  return [...shared, ...own]
}

function variables(spec: DashboardSpec) {
  const offers = variableQueries(spec).map(({ name, label, all, query }) =>
    new dashboard.QueryVariableBuilder(name)
      .label(label)
      .query(query)
      .datasource(datasource)
      .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
      .sort(dashboard.VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .allValue(all)
      .current({ selected: true, text: 'All', value: '$__all' }),
  )
  const source = new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus')
  const addresses = (spec.pages ?? []).map(({ name, address }) =>
    new dashboard.TextBoxVariableBuilder(name)
      .defaultValue(address)
      .hide(dashboard.VariableHide.HideVariable),
  )
  return [source, ...offers, ...(spec.ago ? [compareWith(spec.ago)] : []), ...addresses]
}

function compareWith(values: readonly string[]) {
  const option = (value: string) => ({ selected: value === values[0], text: `${value} before`, value })
  return new dashboard.CustomVariableBuilder('ago')
    .label('Compare with')
    .values(values.map(value => `${value} before : ${value}`).join(','))
    .options(values.map(option))
    .current(option(values[0] as string))
}

function buildPanel(dashboardSpec: DashboardSpec, spec: PanelSpec): AnyPanel {
  const panel = builders[spec.kind]()
    .title(spec.title)
    .description(spec.description)
    .datasource(datasource)
    .unit(spec.unit)
    .span(spec.width)
    .height(spec.height)
    .noValue(spec.nothing ?? 'no data')
  // YAML has null for a panel without a minimum.
  if (typeof spec.min === 'number') panel.min(spec.min)
  if (spec.max !== undefined) panel.max(spec.max)
  if (spec.decimals !== undefined) panel.decimals(spec.decimals)
  panel.thresholds(thresholds(spec.thresholds))
  if (spec.values) panel.mappings([valueMapping(spec.values)])
  if (spec.lastDay)
    panel
      .timeFrom('24h')
      .interval('1m')
      .maxDataPoints(24 * 60)
  if (spec.links)
    panel.links(spec.links.map(({ title, url }) => new dashboard.DashboardLinkBuilder(title).url(url)))
  // Instant queries: over a range the last value would still be shown hours after its series has ended.
  const instant = spec.kind !== 'timeseries' && spec.kind !== 'strip'
  for (const [index, query] of spec.queries.entries()) {
    try {
      panel.withTarget(buildQuery(query, expressionOf(dashboardSpec, query), index, instant))
    } catch (cause) {
      const at = `${dashboardSpec.title}, panel "${spec.title}"`
      throw new ExpectedError(`${at}: ${(cause as Error).message}`, { cause })
    }
  }
  return dress(panel, spec)
}

/** A to Z, then A1 to Z1, as Grafana names queries. */
const refId = (index: number): string =>
  String.fromCharCode('A'.charCodeAt(0) + (index % 26)) + (index < 26 ? '' : Math.floor(index / 26))

function buildQuery({ legend, exemplars }: Query, expr: string, index: number, instant: boolean) {
  const query = new prometheus.DataqueryBuilder()
    .expr(expr)
    .legendFormat(legend)
    .datasource(datasource)
    .refId(refId(index))
    .exemplar(exemplars ?? false)
  return instant ? query.instant() : query.range()
}

/** Options that only one kind of panel has. */
function dress(panel: AnyPanel, spec: PanelSpec): AnyPanel {
  if (panel instanceof timeseries.PanelBuilder) {
    panel
      .lineWidth(2)
      .fillOpacity(spec.stacked ? 60 : 5)
      .tooltip(
        new common.VizTooltipOptionsBuilder()
          .mode(common.TooltipDisplayMode.Multi)
          .sort(common.SortOrder.Descending),
      )
      .legend(
        new common.VizLegendOptionsBuilder()
          .displayMode(common.LegendDisplayMode.List)
          .placement(common.LegendPlacement.Bottom)
          .showLegend(true),
      )
    if (spec.softMax !== undefined) panel.axisSoftMax(spec.softMax)
    if (spec.stacked) {
      const { Percent, Normal } = common.StackingMode
      const mode = spec.stacked === 'share' ? Percent : Normal
      panel.stacking(new common.StackingConfigBuilder().mode(mode))
    }
    if (spec.thresholds)
      panel.thresholdsStyle(
        new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
      )
  }
  if (panel instanceof bargauge.PanelBuilder)
    panel.displayMode(common.BarGaugeDisplayMode.Basic).orientation(common.VizOrientation.Horizontal)
  if (panel instanceof stat.PanelBuilder)
    panel.graphMode(common.BigValueGraphMode.None).colorMode(common.BigValueColorMode.Value)
  if (panel instanceof statetimeline.PanelBuilder)
    panel.showValue(common.VisibilityMode.Never).mergeValues(true)
  return panel
}

function thresholds(above: readonly Threshold[] = []) {
  const base = { value: null, color: above.at(-1)?.means === 'good' ? colours.broken : colours.good }
  const steps = above.map(({ above: value, means }) => ({ value, color: colours[means] }))
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps([base, ...steps])
}

function valueMapping(values: NonNullable<PanelSpec['values']>): dashboard.ValueMapping {
  const options = Object.entries(values).map(([value, { text, means }], index) => [
    value,
    { text, color: colours[means], index },
  ])
  return { type: dashboard.MappingType.ValueToText, options: Object.fromEntries(options) }
}
