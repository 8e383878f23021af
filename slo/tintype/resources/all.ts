import type { Resource } from '../../diagnose/resource.ts'
import { after } from './after.ts'
import { before } from './before.ts'

/** Every resource that can make a stage slow, as far as a metric tells of it. */
export const resources: readonly Resource[] = [...after, ...before]
