import type { variables } from '../variables.ts'

type VariableName = keyof typeof variables

/** One bounded thing: what is bounded, who enforces it, and what happens at the limit. */
export type Limit = {
  what: string
  /** The number, or the variable that sets it. */
  value: number | VariableName
  unit: string
  owner: 'web' | 'converter' | 'logs' | 'slo' | 'every process' | 'queue' | 'storage'
  /** What the one who reaches it sees. */
  answer: string
}
