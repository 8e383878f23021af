import type { Drill } from '../drill.ts'
import { scrapedByLine } from '../inject/line.ts'
import { freeze } from '../inject/processes.ts'

/** Drills without a slow photo, or without a way to know. */
export const quiet: readonly Drill[] = [
  {
    name: 'log server away',
    truth: ['healthy dependency-away'],
    prepare: lab => ({ inject: ({ pid }) => freeze(lab, pid('logs')) }),
  },
  {
    name: 'metrics away',
    truth: ['unknown'],
    prepare: async lab => {
      const { line, environment } = await scrapedByLine(lab)
      return { environment, inject: () => line.cut() }
    },
  },
  {
    name: 'traffic doubled and all well',
    truth: ['healthy'],
    prepare: () => ({
      inject({ traffic }) {
        traffic.rate *= 2
      },
    }),
  },
  {
    name: 'a night without traffic',
    truth: ['healthy'],
    kept: true,
    quiet: true,
    prepare: () => ({ inject() {} }),
  },
]
