import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { processorGroups } from './inject/processes.ts'

/** Why a drill cannot be done here; undefined when it can. */
export const needsRoot = (): string | undefined =>
  process.getuid?.() === 0
    ? undefined
    : 'it needs a disk, a port or a group of processes that only root may make'

export const needsPart = (command: string) => (): string | undefined =>
  spawnSync(command, ['--version']).error
    ? `${command} is missing: npm run parts, or the system’s packages`
    : undefined

export const needsProcessorGroups = (): string | undefined =>
  needsRoot() ??
  (existsSync(join(processorGroups, 'cpu.shares')) ? undefined : `${processorGroups} is missing`)
