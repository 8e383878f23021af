import { expect, test } from 'vitest'
import { simulated } from './drills/simulated.ts'
import { gradeOf, saidIn } from './score.ts'
import { runSimulated } from './simulated.ts'

/** `npm run faults -- --simulated` asks at all minutes. */
const some = (minutes: readonly number[]): number[] => [
  ...new Set([minutes[0] as number, minutes.at(-1) as number]),
]

test.each(simulated)(
  '$name is named at some of its minutes',
  async drill => {
    for (const finding of await runSimulated({ ...drill, minutes: some(drill.minutes) }))
      expect(gradeOf(finding), `${finding.drill}: ${saidIn(finding)}`).toBe('right')
  },
  60_000,
)
