/** Separate from log.ts, so that variables.ts can name the levels without loading winston. */
export const levels = ['error', 'warn', 'info', 'debug'] as const
export type Level = (typeof levels)[number]
