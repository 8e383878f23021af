import { parser } from '@prometheus-io/lezer-promql'

type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

/** The rules of Grafana's dashboard-linter, which cannot be had as a package; none may be excluded. */
export type Dashboard = {
  title: string
  editable?: boolean
  templating: { list: Variable[] }
  panels: Panel[]
}
type Variable = {
  name: string
  type: string
  label?: string
  query: unknown
  datasource?: { uid: string }
  multi?: boolean
  allValue?: string
  refresh?: number
}
export type Panel = {
  type: string
  title?: string
  description?: string
  datasource?: { uid: string }
  fieldConfig?: { defaults: { unit?: string } }
  targets?: { expr: string; refId: string; datasource?: { uid: string } }[]
}

type Rule = (dashboard: Dashboard) => string[]

const shown = (dashboard: Dashboard) => dashboard.panels.filter(panel => panel.type !== 'row')
const targets = (dashboard: Dashboard) =>
  shown(dashboard).flatMap(panel =>
    (panel.targets ?? []).map(target => ({ ...target, at: `panel "${panel.title}" ${target.refId}` })),
  )

/** A target's expression as Prometheus gets it: Grafana's variables filled with something that parses. */
export const fill = (expr: string, variables: Record<string, string> = {}): string =>
  expr
    .replaceAll('$__rate_interval', variables.rate_interval ?? '5m')
    .replaceAll('$ago', variables.ago ?? '1h')
    .replaceAll(/\$(job|instance|version)/g, (_, name) => variables[name] ?? '.+')

function nodes(expr: string, names: readonly string[]): SyntaxNode[] {
  const found: SyntaxNode[] = []
  parser.parse(expr).iterate({ enter: node => void (names.includes(node.name) && found.push(node.node)) })
  return found
}

const textOf = (expr: string, node: SyntaxNode) => expr.slice(node.from, node.to)

/** The metrics that an expression reads. */
export const metricsOf = (expr: string): string[] =>
  nodes(fill(expr), ['VectorSelector']).map(selector => textOf(fill(expr), selector).replace(/\{.*$/s, ''))

const templateRule =
  (name: string, label: string): Rule =>
  ({ templating }) => {
    const variable = templating.list.find(each => each.name === name)
    if (!variable) return [`variable ${name} is missing`]
    const wrong = [
      variable.type !== 'query' && 'must be a query',
      variable.label !== label && `must be labelled ${label}`,
      variable.datasource?.uid !== '$datasource' && 'must use $datasource',
      !variable.multi && 'must allow several values',
      variable.allValue !== '.+' && 'must have the all-value .+',
      variable.refresh !== 2 && 'must reload when the time range changes',
    ]
    return wrong.filter(mend => mend !== false).map(mend => `variable ${name} ${mend}`)
  }

const matcherRule =
  (label: string): Rule =>
  dashboard =>
    targets(dashboard).flatMap(({ expr, at }) => {
      const filled = fill(expr)
      return nodes(filled, ['VectorSelector'])
        .filter(selector => !textOf(filled, selector).includes(`${label}=~"`))
        .map(selector => `${at}: ${textOf(filled, selector)} must match ${label}=~"$${label}"`)
    })

const counter = /_(total|sum|count|bucket)$/

export const rules: Record<string, Rule> = {
  'template-datasource-rule': ({ templating }) =>
    templating.list.some(({ name, type }) => name === 'datasource' && type === 'datasource')
      ? []
      : ['a variable named datasource is missing'],
  'template-job-rule': templateRule('job', 'Job'),
  'template-instance-rule': templateRule('instance', 'Instance'),
  'panel-datasource-rule': dashboard =>
    shown(dashboard).flatMap(panel =>
      [panel.datasource, ...(panel.targets ?? []).map(target => target.datasource)].some(
        each => each?.uid !== '$datasource',
      )
        ? [`panel "${panel.title}" must use $datasource`]
        : [],
    ),
  'panel-title-description-rule': dashboard =>
    shown(dashboard).flatMap(({ title, description }) =>
      title && description ? [] : [`panel "${title}" must have a title and a description`],
    ),
  'panel-units-rule': dashboard =>
    shown(dashboard).flatMap(panel =>
      panel.fieldConfig?.defaults.unit ? [] : [`panel "${panel.title}" must have a unit`],
    ),
  'panel-no-targets-rule': dashboard =>
    shown(dashboard).flatMap(panel => (panel.targets?.length ? [] : [`panel "${panel.title}" has no query`])),
  'target-promql-rule': dashboard =>
    targets(dashboard).flatMap(({ expr, at }) =>
      nodes(fill(expr), ['⚠']).length === 0 ? [] : [`${at}: not PromQL: ${expr}`],
    ),
  'target-rate-interval-rule': dashboard =>
    targets(dashboard).flatMap(({ expr, at }) =>
      [...expr.matchAll(/\b(rate|irate|increase)\([^[]*\[([^\]]+)\]/g)]
        .filter(([, , window]) => window !== '$__rate_interval')
        .map(([call]) => `${at}: ${call} must use $__rate_interval`),
    ),
  'target-job-rule': matcherRule('job'),
  'target-instance-rule': matcherRule('instance'),
  'target-counter-agg-rule': dashboard =>
    targets(dashboard).flatMap(({ expr, at }) => {
      const filled = fill(expr)
      return nodes(filled, ['VectorSelector'])
        .filter(
          selector =>
            counter.test(textOf(filled, selector).replace(/\{.*$/s, '')) && !underRate(filled, selector),
        )
        .map(selector => `${at}: counter ${textOf(filled, selector)} must be under rate or increase`)
    }),
  'uneditable-dashboard': ({ editable }) => (editable ? ['must be .readonly()'] : []),
}

function underRate(expr: string, selector: SyntaxNode): boolean {
  for (let node: SyntaxNode | null = selector; node; node = node.parent) {
    if (node.name === 'FunctionCall' && /^(rate|irate|increase)\(/.test(textOf(expr, node))) return true
  }
  return false
}

/** Every finding of every rule, each naming its rule. */
export const lint = (dashboard: Dashboard): string[] =>
  Object.entries(rules).flatMap(([name, rule]) => rule(dashboard).map(finding => `${name}: ${finding}`))
