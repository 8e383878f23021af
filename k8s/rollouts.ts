import { stringify } from 'yaml'
import type { Directory } from '../slo/directory.ts'
import type { Selector } from '../slo/sources/index.ts'
import { countedOf } from '../tools/release/count-versions.ts'

/** Argo Rollouts' objects that replace the Deployments of web and converter, for one of the two strategies. */
type Metric = ReturnType<typeof metric> & { consecutiveSuccessLimit?: number }
export type Way = 'canary' | 'blue-green'

/** The window of events, and their minimum: fewer events, none bad, do not prove less than 1 % (0.99^299 = 0.05). */
const window = '30m'
const fewest = 299
const budgetShare = 0.1
const fewestBroken = 3

const hash = '{{args.hash}}'
const address = 'http://prometheus-operated.monitoring.svc:9090'

/** The growth of the new pods' counters. Pod names have the hash of their template, so metrics need no label for it. */
function grown({ metric, matchers }: Selector, version: 'new' | 'all', range: string): string {
  const labels = [
    ...matchers.map(({ label, operator, value }) => `${label}${operator}${JSON.stringify(value)}`),
    'namespace="tintype"',
    ...(version === 'new' ? [`pod=~".*-${hash}-.*"`] : []),
  ]
  return `sum(increase(${metric}{${labels.join(',')}}[${range}]))`
}

/**
 * A metric of the analysis. An empty answer or NaN is neither success nor failure: the analysis waits, and ends as
 * inconclusive, at which the rollout pauses for a person.
 */
const metric = (name: string, query: string, limit: number) => ({
  name,
  interval: '30s',
  // A bad answer aborts at once; an hour without an answer is inconclusive.
  failureLimit: 0,
  inconclusiveLimit: 120,
  consecutiveErrorLimit: 10,
  successCondition: `len(result) > 0 && !isNaN(result[0]) && result[0] <= ${limit}`,
  failureCondition: `len(result) > 0 && !isNaN(result[0]) && result[0] > ${limit}`,
  provider: { prometheus: { address, query } },
})

const template = (name: string, metrics: object[]): object => ({
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'AnalysisTemplate',
  metadata: { name, namespace: 'tintype' },
  spec: { args: [{ name: 'hash' }], metrics },
})

/** The comparison with each objective, for which a step waits, and the budget, which is checked all the time. */
export function analyses({ objectives }: Directory): { ratios: Metric[]; budgets: Metric[] } {
  const each = countedOf(objectives).map(({ objective, part, total, isBad }) => {
    const { numerator, denominator } = objective.target
    const allowed = (denominator - numerator) / denominator
    const [all, some] = [grown(total, 'new', window), grown(part, 'new', window)]
    const bad = isBad ? some : `(${all} - ${some})`
    const day = grown(total, 'all', '1d')
    // No answer with too few events, so that no traffic is never good.
    const ratio = metric(objective.name, `${bad} / (${all} >= ${fewest})`, allowed)
    const share = `${bad} / clamp_min(${budgetShare * allowed} * ${day}, ${fewestBroken})`
    // One good answer ends the step. The check of the budget never ends.
    const budget = metric(objective.name, `${share} or vector(0)`, 1)
    return { ratio: { ...ratio, consecutiveSuccessLimit: 1 }, budget }
  })
  return { ratios: each.map(({ ratio }) => ratio), budgets: each.map(({ budget }) => budget) }
}

const by = (...names: string[]) => ({
  templates: names.map(templateName => ({ templateName })),
  args: [{ name: 'hash', valueFrom: { podTemplateHashValue: 'Latest' } }],
})
const judged = by('tintype-objectives')

function rollout(name: 'web' | 'converter', way: Way): object {
  const service = `tintype-${name}`
  const canary = {
    canary: {
      maxSurge: 1,
      maxUnavailable: 0,
      analysis: by('tintype-budget'),
      steps: [{ setWeight: 10 }, { analysis: judged }, { setWeight: 50 }, { analysis: judged }],
    },
  }
  const blueGreen = {
    blueGreen: {
      activeService: service,
      previewService: `${service}-preview`,
      autoPromotionEnabled: true,
      // The old pods stay until the new ones were judged with all customers.
      scaleDownDelaySeconds: 3_600,
      postPromotionAnalysis: judged,
    },
  }
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Rollout',
    metadata: { name: service, namespace: 'tintype' },
    spec: {
      selector: { matchLabels: { 'app.kubernetes.io/name': service } },
      // The pods are those of the Deployment, which is scaled down when the Rollout has taken over.
      workloadRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: service, scaleDown: 'onsuccess' },
      // Converters have no Service: they claim the jobs of their own version as soon as a web of it accepts photos.
      strategy: way === 'canary' || name === 'converter' ? canary : blueGreen,
    },
  }
}

const preview = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'tintype-web-preview', namespace: 'tintype' },
  spec: {
    selector: { 'app.kubernetes.io/name': 'tintype-web' },
    ports: [{ name: 'web', port: 80, targetPort: 'web' }],
  },
}

export const rolloutObjects = (directory: Directory, way: Way): object[] => [
  template('tintype-objectives', analyses(directory).ratios),
  template('tintype-budget', analyses(directory).budgets),
  ...(way === 'blue-green' ? [preview] : []),
  rollout('converter', way),
  rollout('web', way),
]

export const rolloutYaml = (directory: Directory, way: Way): string =>
  rolloutObjects(directory, way)
    .map(each => stringify(each, { lineWidth: 0 }))
    .join('---\n')
