import { Problem } from '@tintype/lib/http.ts'
import { backtest } from '../math/backtest.ts'
import { outageFormat, outageMinutes, outageTally, parseOutage } from '../math/outage.ts'
import type { WhatIf } from '../page/api.ts'
import type { Objective } from '../sources/index.ts'
import { longestMinutes } from '../sources/recorded.ts'

/** What each alert would do in a described outage: the backtest, in minutes after its begin. */
export function whatIf(objectives: readonly Objective[], outage: string): WhatIf {
  const phases = parseOutage(outage)
  if (!phases) throw new Problem(400, 'bad-outage', `outage is ${outageFormat}`)
  // Any minute serves: a described outage has no calendar.
  const begin = 0
  const length = outageMinutes(phases)
  return {
    minutes: length,
    alerts: objectives.flatMap(objective =>
      backtest(
        objective,
        outageTally(objective, phases, begin),
        begin,
        begin + length + 2 * longestMinutes(objectives),
      ),
    ),
  }
}
