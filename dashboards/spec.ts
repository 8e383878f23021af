import type { Scope } from '../slo/sources/promql.ts'

/** A dashboard without Grafana's terms. build.ts turns it into Grafana's JSON. */

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
  /** `width` of 24 columns; `height` in rows of 30 px. */
  width: number
  height: number
  queries: readonly Query[]
  min?: number
  max?: number
  /** The axis reaches at least this far, so that a threshold stays in sight. */
  softMax?: number
  /** `share` shows each line as its share of the sum. */
  stacked?: 'sum' | 'share'
  /** Lines, in the panel's unit, ascending. Below them a value is broken if the last one means good, else good. */
  thresholds?: readonly Threshold[]
  values?: Readonly<Record<string, { text: string; means: Meaning }>>
  links?: readonly Link[]
  decimals?: number
  /** A panel with a time range of its own: the last 24 hours, one point a minute. */
  lastDay?: boolean
  /** Text when there is no data; default: `no data`. */
  nothing?: string
}

export type Link = { title: string; url: string }

export type DashboardSpec = {
  uid: string
  title: string
  /** The name of its service in words, by which its dashboards link each other. */
  service: string
  description: string
  /** Limits every query, besides the variables: `selectors` and `replicaLabels` of service.yaml. */
  scope: Scope
  /** Further labels that are variables, with the metric that has their values. */
  labels?: Readonly<Record<string, string>>
  /** Ages that a panel can compare with; makes `$ago` available. */
  ago?: readonly string[]
  /** Pages that panels link to. Each address is a variable that is set where Grafana is provisioned. */
  pages?: readonly Page[]
  /** Initial time range in hours; default: three. */
  hours?: number
  rows: readonly { title: string; panels: readonly PanelSpec[] }[]
}

export type Page = { name: string; title: string; address: string }

/** A panel of lines over time, half a row wide. */
export const lines = (
  panel: Omit<PanelSpec, 'kind' | 'width' | 'height'> & Partial<PanelSpec>,
): PanelSpec => ({ kind: 'timeseries', width: 12, height: 7, ...panel })
