import type { Scope } from '../slo/sources/promql.ts'

/** A dashboard without Grafana's words; build.ts turns it into Grafana's JSON. */

export type Query = {
  /** PromQL. build.ts adds the matchers of namespace, cluster, job and instance to every selector. */
  expr: string
  legend: string
  /** Shows the traces behind the buckets as points. */
  exemplars?: boolean
}

export type Meaning = 'good' | 'late' | 'broken' | 'unknown'
export type Threshold = { above: number; means: Meaning }

export const kinds = ['timeseries', 'stat', 'bars', 'strip'] as const

export type PanelSpec = {
  kind: (typeof kinds)[number]
  /** The term that an SRE would search for. */
  title: string
  /** One sentence. */
  description: string
  unit: string
  /** Of 24 columns, and in rows of 30 px. */
  width: number
  height: number
  queries: readonly Query[]
  min?: number
  max?: number
  /** The axis reaches at least this far, so that a threshold stays in sight. */
  softMax?: number
  /** `share`: each line as its part of the sum. */
  stacked?: 'sum' | 'share'
  /** In the panel's unit, ascending; drawn as lines. Below them is broken where the last is good, else good. */
  thresholds?: readonly Threshold[]
  /** Words for values. */
  values?: Readonly<Record<string, { text: string; means: Meaning }>>
  links?: readonly Link[]
  decimals?: number
  /** A panel with a time range of its own: the last 24 hours, one point a minute. */
  lastDay?: boolean
  /** What is shown when there is no data; `no data` by default. */
  nothing?: string
}

export type Link = { title: string; url: string }

export type DashboardSpec = {
  uid: string
  title: string
  description: string
  /** What every query is limited to, beside the variables: `selectors` and `replicaLabels` of service.yaml. */
  scope: Scope
  /** Labels that are variables, beside those of every dashboard, by the metric that offers their values. */
  labels?: Readonly<Record<string, string>>
  /** How long before now a panel compares with; offers `$ago`. */
  ago?: readonly string[]
  /** Addresses of pages that panels link to, each a variable that is set where Grafana is provisioned. */
  pages?: readonly Page[]
  /** Time range at first sight; three hours by default. */
  hours?: number
  rows: readonly { title: string; panels: readonly PanelSpec[] }[]
}

export type Page = { name: string; title: string; address: string }

/** Half a row: a panel of lines over time. */
export const lines = (
  panel: Omit<PanelSpec, 'kind' | 'width' | 'height'> & Partial<PanelSpec>,
): PanelSpec => ({ kind: 'timeseries', width: 12, height: 7, ...panel })
