import { readFileSync } from 'node:fs'
import type { Target } from './recorder.ts'

type Group = { targets: string[]; labels?: Record<string, string> }

/** The targets that a file names (Prometheus' file_sd, JSON), as it stands now; undefined without a file, or when it cannot be read. */
export function readTargets(file: string, given: readonly Target[]): readonly Target[] | undefined {
  if (given.length > 0 || file === '') return undefined
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as Group[]).flatMap(({ targets, labels = {} }) =>
      targets.map(address => ({
        job: labels.job ?? address,
        instance: labels.instance ?? address,
        url: new URL(`http://${address}/metrics`),
      })),
    )
  } catch {
    return undefined
  }
}
