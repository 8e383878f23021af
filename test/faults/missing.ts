import { spawnSync } from 'node:child_process'

/** Why a drill cannot be done here; undefined when it can. */
export const needsRoot = (): string | undefined =>
  process.getuid?.() === 0 ? undefined : 'it mounts a disk of its own, which only root may'

export const needsPart = (command: string) => (): string | undefined =>
  spawnSync(command, ['--version']).error ? `${command} is missing: npm run parts` : undefined
