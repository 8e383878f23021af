import { parseArgs } from 'node:util'
import { ConfigError, readConfig } from '@tintype/lib/config.ts'
import { errorCode } from '@tintype/lib/errors.ts'
import { openLifecycle, storageUrl } from '@tintype/lib/storage/index.ts'
import { pick } from '@tintype/lib/variables.ts'

/** `npm run storage -- lifecycle`: the ages of what is in a bucket. */
const usage = `npm run storage -- lifecycle [--write] [--json]

  Shows the rules by which the bucket of STORAGE_URL removes old photos, old Idempotency-Keys and the parts of
  uploads that were cut off, beside those that KEEP_PHOTOS_DAYS and KEEP_KEYS_DAYS ask for.
  --write   puts these in the place of our old ones; rules of others stay

  Exit: 0 the bucket has the rules, 1 it has not, or its server knows none, 2 bad arguments or environment.
`

class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean' }, write: { type: 'boolean' } },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function lifecycle(write: boolean, json: boolean): Promise<number> {
  const config = readConfig(
    process.env,
    pick('DATA_DIR', 'STORAGE_URL', 'KEEP_PHOTOS_DAYS', 'KEEP_KEYS_DAYS'),
  )
  const rules = await openLifecycle(storageUrl(config.STORAGE_URL, config.DATA_DIR), {
    photos: config.KEEP_PHOTOS_DAYS,
    keys: config.KEEP_KEYS_DAYS,
  })
  if (!rules) throw new ConfigError('STORAGE_URL names a folder, which has no rules: only a bucket has')
  try {
    if (write) await rules.write()
    const { present, wanted } = await rules.compare()
    const equal = present.toSorted().join('\n') === wanted.toSorted().join('\n')
    const lines = [
      ...present.map(rule => `is      ${rule}`),
      ...(equal ? [] : wanted.map(rule => `wanted  ${rule}`)),
      ...(equal ? [] : ['to write these: npm run storage -- lifecycle --write']),
    ]
    process.stdout.write(`${json ? JSON.stringify({ present, wanted, equal }) : lines.join('\n')}\n`)
    return equal ? 0 : 1
  } catch (error) {
    if (errorCode(error) !== 'NotImplemented') throw error
    throw new Error(
      'the S3 server of STORAGE_URL knows no lifecycle rules: remove what is old by other means',
    )
  } finally {
    rules.close()
  }
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parse(args)
  if (values.help) {
    process.stdout.write(usage)
    return 0
  }
  if (positionals.join() !== 'lifecycle')
    throw new UsageError(positionals.length > 0 ? `not understood: ${args.join(' ')}` : 'a verb is missing')
  return lifecycle(values.write ?? false, values.json ?? false)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const { message } = error as Error
  process.stderr.write(error instanceof UsageError ? `${message}\n\n${usage}` : `${message}\n`)
  process.exitCode = error instanceof UsageError || error instanceof ConfigError ? 2 : 1
}
