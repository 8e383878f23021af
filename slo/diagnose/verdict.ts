/** The answer of diagnose. This file imports nothing, because the pages read it, too. */
export type Verdict = {
  /** A stage, `healthy` or `unknown`. */
  verdict: string
  cause: string | null
  /** 0 to 1: the stage's share of the growth × the share of it that the cause explains. */
  confidence: number
  since: string | null
  evidence: Evidence[]
  lever: string | null
  /** The second largest growth, when two stages are slow at once. */
  also: { stage: string; cause: string | null; share: number } | null
  /** Each stage's time, and its metrics with and without data. */
  stages: (Growth & { had: string[]; lacked: string[] })[]
  /** Texts: why the verdict may be wrong or incomplete. */
  remarks: string[]
  /** Texts: processes that differ from the others of their service. */
  replicas: string[]
  /** Texts: events of the time that may not be the cause, such as started processes. */
  context: string[]
}

export type Evidence = {
  metric: string
  /** PromQL that gives `now`; with `offset` it gives `baseline`. */
  query: string
  cause: string
  baseline: number | null
  now: number
  /** Share of the stage's growth, 0 to 1. */
  explains: number
}

/** The time of a stage, in seconds. */
export type Growth = {
  stage: string
  baseline: number | null
  now: number | null
  /** Seconds more than before; 0 when within the usual spread. */
  growth: number
  /** Share of the growth of all stages, 0 to 1. */
  share: number
}
