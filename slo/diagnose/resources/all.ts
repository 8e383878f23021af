import { after } from './after.ts'
import { before } from './before.ts'
import type { Resource } from './resource.ts'

/** A photo also waits for a slot that is lost to another one: the time goes in `wait`, the cause is in `convert`. */
const lostSlots = after
  .filter(({ stage, kind }) => stage === 'convert' && kind === 'exhausted')
  .map((resource): Resource => ({ ...resource, stage: 'wait', blames: 'convert' }))

/** Every resource that can make a stage slow, as far as a metric tells of it. */
export const resources: readonly Resource[] = [...lostSlots, ...before, ...after]
