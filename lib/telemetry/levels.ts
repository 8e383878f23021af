/** Apart from log.ts: whoever only names a level, as the table of variables does, loads no winston. */
export const levels = ['error', 'warn', 'info', 'debug'] as const
export type Level = (typeof levels)[number]
