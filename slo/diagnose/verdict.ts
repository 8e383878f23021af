/** The answer of diagnose. The pages read it too, so this file imports nothing. */
export type Verdict = {
  /** A stage, `healthy` or `unknown`. */
  verdict: string
  cause: string | null
  /** 0 to 1: the stage's share of the growth × what its cause explains of it. */
  confidence: number
  since: string | null
  evidence: Evidence[]
  lever: string | null
  /** The second largest, when two things are slow at once. */
  also: { stage: string; cause: string | null; share: number } | null
  /** Each stage's time, and what data there was about it. */
  stages: (Growth & { had: string[]; lacked: string[] })[]
  /** Of all stages: metrics of resources that were not there. */
  lacking: string[]
  /** Why the verdict may be wrong or incomplete, in words. */
  remarks: string[]
  /** Processes unlike the others of their service, in words. */
  replicas: string[]
  /** What happened meanwhile and need not be the cause, in words: processes that started. */
  context: string[]
}

export type Evidence = {
  metric: string
  /** PromQL that gives `now`; with `offset` what was before. */
  query: string
  cause: string
  baseline: number | null
  now: number
  /** 0 to 1, of the stage's growth. */
  explains: number
}

/** The time of a stage, in seconds. */
export type Growth = {
  stage: string
  baseline: number | null
  now: number | null
  /** Seconds more than before; 0 when it is within what is usual. */
  growth: number
  /** Of the growth of all stages. */
  share: number
}
