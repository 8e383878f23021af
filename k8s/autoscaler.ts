/**
 * Kubernetes' HorizontalPodAutoscaler (autoscaling/v2, its defaults: 15 s between decisions, 10 % tolerance), which
 * KEDA drives with external metrics, as a function of its inputs. Only the features that our ScaledObject uses.
 */
export const syncSeconds = 15
const tolerance = 0.1

export type Policy = { type: 'Percent' | 'Pods'; value: number; periodSeconds: number }
export type Direction = { stabilizationWindowSeconds: number; policies: readonly Policy[] }
export type Metric = { name: string; metricType: 'Value' | 'AverageValue'; threshold: number }
export type Scaling = {
  min: number
  max: number
  metrics: readonly Metric[]
  scaleUp: Direction
  scaleDown: Direction
}

type Pods = { wanted: number; ready: number }

/** Decides the number of pods at each sync. */
export function createAutoscaler({ min, max, metrics, scaleUp, scaleDown }: Scaling) {
  const recommended: { at: number; pods: number }[] = []
  const changes: { at: number; by: number }[] = []
  const changed = (at: number, seconds: number, sign: 1 | -1) =>
    changes.filter(each => each.at > at - seconds && each.by * sign > 0).reduce((sum, { by }) => sum + by, 0)

  return (at: number, { wanted, ready }: Pods, values: Readonly<Record<string, number>>): number => {
    const wishes = metrics.map(metric => wish(metric, values[metric.name] ?? 0, { wanted, ready }))
    recommended.push({ at, pods: Math.min(max, Math.max(min, ...wishes)) })
    const within = (seconds: number) =>
      recommended.filter(each => each.at > at - seconds || each.at === at).map(({ pods }) => pods)
    const lowest = Math.min(...within(scaleUp.stabilizationWindowSeconds))
    const highest = Math.max(...within(scaleDown.stabilizationWindowSeconds))
    const steady = Math.max(lowest, Math.min(highest, wanted))
    // The largest change that any policy allows within its period.
    const most = Math.max(
      ...scaleUp.policies.map(({ type, value, periodSeconds }) => {
        const start = wanted - changed(at, periodSeconds, 1)
        return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100))
      }),
    )
    const least = Math.min(
      ...scaleDown.policies.map(({ type, value, periodSeconds }) => {
        const start = wanted - changed(at, periodSeconds, -1)
        return type === 'Pods' ? start - value : Math.floor(start * (1 - value / 100))
      }),
    )
    const decided =
      steady > wanted ? Math.min(steady, Math.max(most, wanted)) : Math.max(steady, Math.min(least, wanted))
    if (decided !== wanted) changes.push({ at, by: decided - wanted })
    return decided
  }
}

function wish({ metricType, threshold }: Metric, value: number, { wanted, ready }: Pods): number {
  const ratio = metricType === 'Value' ? value / threshold : value / (threshold * wanted)
  if (Math.abs(ratio - 1) <= tolerance) return wanted
  return Math.ceil(metricType === 'Value' ? ratio * ready : value / threshold)
}
