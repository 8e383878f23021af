import { readFileSync } from 'node:fs'

/** The version in the root's package.json: `tintype_build_info`, traces and releases name it. */
export const version: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version
