/** What a dashboard says, without Grafana's words: build.ts turns it into Grafana's JSON. */

export type Query = {
  /** PromQL; write `{{target}}` for the job and instance matchers that every selector carries. */
  expr: string
  legend: string
  /** Shows the traces behind the buckets as points. */
  exemplars?: boolean
}

export type Threshold = { above: number; means: 'good' | 'late' | 'broken' }

export type PanelSpec = {
  kind: 'timeseries' | 'stat' | 'bars' | 'strip' | 'table'
  /** A question or a noun a person knows. */
  title: string
  /** What it shows, what is normal, and what to do when it is not. */
  description: string
  unit: string
  /** Of 24 columns, and in rows of 30 px. */
  width: number
  height: number
  queries: readonly Query[]
  min?: number
  max?: number
  /** The axis reaches at least so far: a threshold stays in sight. */
  softMax?: number
  stacked?: boolean
  /** In the panel's unit, ascending; drawn as lines. Below them is broken where the last is good, else good. */
  thresholds?: readonly [Threshold, ...Threshold[]]
  /** Names of values: a binary series as words. */
  values?: Readonly<Record<string, { text: string; means: Threshold['means'] | 'unknown' }>>
  links?: readonly Link[]
  decimals?: number
  /** A panel of its own time range, one point a minute: the day's strip. */
  lastDay?: boolean
  /** What is shown when there is nothing to show; by default `no data`. */
  nothing?: string
}

export type Link = { title: string; url: string }

export type DashboardSpec = {
  uid: string
  title: string
  description: string
  /** The services whose metrics it shows: what the job variable offers. */
  from: string
  /** Also filter by version: a release is one version against another. */
  byVersion?: boolean
  /** How long before now a panel compares with: offers `$ago`. */
  ago?: readonly [string, ...string[]]
  /** What is seen first; three hours by default. */
  hours?: number
  rows: readonly { title: string; panels: readonly PanelSpec[] }[]
}

/** Matchers that every selector of a dashboard carries. */
export const target = 'job=~"$job", instance=~"$instance"'

/** A panel of lines over time, a third of the width. */
export const lines = (
  title: string,
  description: string,
  unit: string,
  queries: PanelSpec['queries'],
  more: Partial<PanelSpec> = {},
): PanelSpec => ({
  kind: 'timeseries',
  title,
  description,
  unit,
  width: 8,
  height: 7,
  min: 0,
  queries,
  ...more,
})
