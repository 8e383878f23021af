import { readArguments, UsageError } from '@tintype/lib/command-line.ts'
import { checkWritable } from '../../tools/writable.ts'
import type { Drill } from './drill.ts'
import { drills } from './drills/all.ts'
import { simulated } from './drills/simulated.ts'

export const usage = `npm run faults [-- --only NAME] [--kept | --seen] [--simulated] [--results FILE] [--keep FOLDER | --replay FOLDER] [--json] [--list]

Injects each fault into a fresh service, and compares what diagnose says with the truth; then asks it about services
that live for hours on a simulated clock.
  --only     drills whose name contains this; may be repeated
  --kept     only drills that diagnose was not developed with; --seen: only the others
  --simulated  only those on a simulated clock: two minutes
  --results  writes every answer with its evidence to a file, as JSON
  --keep     leaves what was recorded in a folder
  --replay   asks diagnose again about recordings that were kept: for work on diagnose
  --list     the drills, with what is true in each
Example: npm run faults -- --only disk --only memory
Exit status: 0 all named, 1 some not, 2 bad arguments, no recordings, or no drill could be done.`

const options = {
  only: { type: 'string', multiple: true },
  kept: { type: 'boolean' },
  seen: { type: 'boolean' },
  simulated: { type: 'boolean' },
  results: { type: 'string' },
  keep: { type: 'string' },
  replay: { type: 'string' },
  json: { type: 'boolean' },
  list: { type: 'boolean' },
} as const

/** The parsed arguments, and the drills that they choose. @throws UsageError */
export function choose(args: string[]) {
  const given = readArguments(args, options).values
  const { only, kept, seen } = given
  const isWanted = (drill: { name: string; kept?: true }) =>
    (!only || only.some(part => drill.name.includes(part))) && (!kept || drill.kept) && (!seen || !drill.kept)
  const chosen = given.simulated ? [] : drills.filter(isWanted)
  const lives = given.replay || given.keep ? [] : simulated.filter(isWanted)
  if (chosen.length + lives.length === 0) throw new UsageError('no drill has such a name; --list names them')
  checkWritable('results', given.results)
  return { ...given, chosen, lives }
}

/** Pairs of drills that run at once, unless one takes the other's processors. Drills of the same length form a pair. */
export function inTurns(chosen: readonly Drill[]): Drill[][] {
  const together = chosen.filter(({ alone }) => !alone)
  together.sort((a, b) => (b.scrapes ?? 0) - (a.scrapes ?? 0))
  const pairs = together.flatMap((_, i) => (i % 2 === 0 ? [together.slice(i, i + 2)] : []))
  return [...pairs, ...chosen.filter(({ alone }) => alone).map(drill => [drill])]
}
