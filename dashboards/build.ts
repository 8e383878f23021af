import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge'
import * as common from '@grafana/grafana-foundation-sdk/common'
import {
  BarGaugeDisplayMode,
  GraphThresholdsStyleMode,
  StackingMode,
  TooltipDisplayMode,
} from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import type { DashboardSpec, PanelSpec, Query, Threshold } from './spec.ts'

const datasource = { type: 'prometheus', uid: '$datasource' }

/** The colours of the pages: amber is late, red only a broken promise. */
const colours = { good: '#6f8f72', late: '#d98e04', broken: '#c0392b', unknown: '#8a8580' } as const

const builders = {
  timeseries: () => new timeseries.PanelBuilder(),
  stat: () => new stat.PanelBuilder(),
  bars: () => new bargauge.PanelBuilder(),
  strip: () => new statetimeline.PanelBuilder(),
  table: () => new table.PanelBuilder(),
}
type AnyPanel = ReturnType<(typeof builders)[keyof typeof builders]>

/** A specification as Grafana's dashboard JSON. */
export function build(spec: DashboardSpec): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags(['tintype'])
    .readonly()
    .refresh('30s')
    .time({ from: `now-${spec.hours ?? 3}h`, to: 'now' })
    .timezone('browser')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .link(
      new dashboard.DashboardLinkBuilder('Tintype')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['tintype'])
        .keepTime(true),
    )
  for (const page of pages)
    builder.link(new dashboard.DashboardLinkBuilder(page.link).url(`$${page.name}`).targetBlank(true))
  for (const variable of variables(spec)) builder.withVariable(variable)
  for (const row of spec.rows) {
    builder.withRow(new dashboard.RowBuilder(row.title))
    for (const panel of row.panels) builder.withPanel(buildPanel(panel))
  }
  return builder.build()
}

/** Where our own pages are, as a person's browser reaches them: set once where Grafana is provisioned. */
const pages = [
  { name: 'promises', link: 'The promises, budgets and what-if', address: 'http://127.0.0.1:8084' },
  { name: 'stories', link: 'One session’s story', address: 'http://127.0.0.1:8083' },
] as const

function variables({ from, byVersion, ago }: DashboardSpec) {
  const offers = (name: string, label: string, filter: string) =>
    new dashboard.QueryVariableBuilder(name)
      .label(label)
      .query(`label_values(${filter}, ${name})`)
      .datasource(datasource)
      .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
      .sort(dashboard.VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .allValue('.+')
      .current({ selected: true, text: 'All', value: '$__all' })
  const source = new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus')
  const version = byVersion ? [offers('version', 'Version', 'tintype_build_info')] : []
  const compare = ago ? [choice('ago', 'Compare with', ago)] : []
  const addresses = pages.map(({ name, address }) =>
    new dashboard.TextBoxVariableBuilder(name)
      .defaultValue(address)
      .hide(dashboard.VariableHide.HideVariable),
  )
  return [
    source,
    offers('job', 'Job', from),
    offers('instance', 'Instance', `${from.replace(/\{.*/, '')}{job=~"$job"}`),
    ...version,
    ...compare,
    ...addresses,
  ]
}

function choice(name: string, label: string, values: readonly [string, ...string[]]) {
  const option = (value: string) => ({ selected: value === values[0], text: `${value} before`, value })
  return new dashboard.CustomVariableBuilder(name)
    .label(label)
    .values(values.map(value => `${value} before : ${value}`).join(','))
    .options(values.map(option))
    .current(option(values[0]))
}

function buildPanel(spec: PanelSpec): AnyPanel {
  const panel = builders[spec.kind]()
    .title(spec.title)
    .description(spec.description)
    .datasource(datasource)
    .unit(spec.unit)
    .span(spec.width)
    .height(spec.height)
    .noValue(spec.nothing ?? 'no data')
  if (spec.min !== undefined) panel.min(spec.min)
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
  // The last value of a range would still be shown hours after its series has ended.
  const instant = spec.kind !== 'timeseries' && spec.kind !== 'strip'
  for (const [index, query] of spec.queries.entries()) panel.withTarget(buildQuery(query, index, instant))
  return dress(panel, spec)
}

function buildQuery({ expr, legend, exemplars }: Query, index: number, instant: boolean) {
  const query = new prometheus.DataqueryBuilder()
    .expr(expr)
    .legendFormat(legend)
    .datasource(datasource)
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .exemplar(exemplars ?? false)
  return instant ? query.instant() : query.range()
}

/** What only one kind of panel knows. */
function dress(panel: AnyPanel, spec: PanelSpec): AnyPanel {
  if (panel instanceof timeseries.PanelBuilder) {
    panel
      .lineWidth(2)
      .fillOpacity(spec.stacked ? 60 : 5)
      .showPoints(common.VisibilityMode.Never)
      .tooltip(
        new common.VizTooltipOptionsBuilder()
          .mode(TooltipDisplayMode.Multi)
          .sort(common.SortOrder.Descending),
      )
      .legend(
        new common.VizLegendOptionsBuilder()
          .displayMode(common.LegendDisplayMode.List)
          .placement(common.LegendPlacement.Bottom)
          .showLegend(true),
      )
    if (spec.softMax !== undefined) panel.axisSoftMax(spec.softMax)
    if (spec.stacked) panel.stacking(new common.StackingConfigBuilder().mode(StackingMode.Normal))
    if (spec.thresholds)
      panel.thresholdsStyle(
        new common.GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed),
      )
  }
  if (panel instanceof bargauge.PanelBuilder)
    panel.displayMode(BarGaugeDisplayMode.Basic).orientation(common.VizOrientation.Horizontal)
  if (panel instanceof stat.PanelBuilder)
    panel.graphMode(common.BigValueGraphMode.None).colorMode(common.BigValueColorMode.Value)
  if (panel instanceof statetimeline.PanelBuilder)
    panel.showValue(common.VisibilityMode.Never).mergeValues(true)
  return panel
}

function thresholds(given: readonly Threshold[] = []) {
  const base = { value: null, color: given.at(-1)?.means === 'good' ? colours.broken : colours.good }
  const steps = given.map(({ above, means }) => ({ value: above, color: colours[means] }))
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
