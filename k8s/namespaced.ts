import { parser } from '@prometheus-io/lezer-promql'
import type { Rule, RuleFile } from '../slo/alerts/rules.ts'

/**
 * The rules for a Prometheus that watches several namespaces: each selector reads this one only, and what is recorded or
 * fires carries it, by which the operator hands alerts to this namespace's AlertmanagerConfig.
 */
export const inNamespace = ({ groups }: RuleFile, namespace: string): RuleFile => ({
  groups: groups.map(group => ({ ...group, rules: group.rules.map(rule => moved(rule, namespace)) })),
})

function moved(rule: Rule, namespace: string): Rule {
  const labels = { ...rule.labels, namespace }
  const expr = selecting(rule.expr, namespace)
  if (!('alert' in rule)) return { ...rule, labels, expr }
  const annotations = Object.entries(rule.annotations).map(([name, text]) => [
    name,
    text.replaceAll(/(?<=with query )"(?:[^"\\]|\\.)*"/g, quoted =>
      JSON.stringify(selecting(JSON.parse(quoted), namespace)),
    ),
  ])
  return { ...rule, labels, expr, annotations: Object.fromEntries(annotations) }
}

/** A PromQL expression with the namespace in each of its selectors. */
export function selecting(expr: string, namespace: string): string {
  const ends: { at: number; matcher: string }[] = []
  const matcher = `namespace=${JSON.stringify(namespace)}`
  parser.parse(expr).iterate({
    enter({ name, node, to }) {
      if (name !== 'VectorSelector') return
      const matchers = node.getChild('LabelMatchers')
      const isEmpty = matchers && !matchers.firstChild
      if (!matchers) ends.push({ at: to, matcher: `{${matcher}}` })
      else ends.push({ at: matchers.to - 1, matcher: isEmpty ? matcher : `,${matcher}` })
    },
  })
  return ends.reduceRight((text, end) => text.slice(0, end.at) + end.matcher + text.slice(end.at), expr)
}
