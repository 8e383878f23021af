import { hash } from 'node:crypto'
import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3'
import { noSuch, readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { ConfigError, readConfig } from '@tintype/lib/config.ts'
import { ignore } from '@tintype/lib/disk.ts'
import { ExpectedError, errorCode } from '@tintype/lib/errors.ts'
import { connect } from '@tintype/lib/storage/s3-client.ts'
import { type S3Address, storageAddress, storageUrl } from '@tintype/lib/storage/storage-url.ts'
import { pick } from '@tintype/lib/variables.ts'

/** `npm run storage -- lifecycle`: the ages at which a bucket's objects are removed. */
const usage = `npm run storage -- lifecycle [--write] [--json]

  Compares the expiry rules of the bucket of STORAGE_URL (old photos, old Idempotency-Keys, parts of interrupted
  uploads, versions of deleted objects) with KEEP_PHOTOS_DAYS and KEEP_KEYS_DAYS.
  --write   replaces our rules; rules of other programs stay

Where: STORAGE_URL, KEEP_PHOTOS_DAYS, KEEP_KEYS_DAYS, as for npm start.
Example: KEEP_PHOTOS_DAYS=30 npm run storage -- lifecycle --write
Exit status: 0 the rules match, 1 they differ, or the server has no such rules, 2 bad arguments or no bucket.`

const options = { json: { type: 'boolean' }, write: { type: 'boolean' } } as const

/**
 * What no listing shows: parts of uploads that a kill interrupted, which take space, and in a bucket with versions the version
 * and the delete marker of each deleted photo, which take space and slow listings.
 */
const unseenDays = 1

/** The rules for these ages in days; 0 means no limit. `names`: all of Tintype's rules, also unwanted ones. */
function rulesFor({ prefix }: S3Address, ages: { photos: number; keys: number }) {
  const rule = (what: string, Prefix: string, action: Partial<LifecycleRule>) => ({
    ID: `tintype ${prefix}${what}`,
    Status: 'Enabled' as const,
    Filter: { Prefix },
    ...action,
  })
  const expiring = Object.entries(ages).map(([what, Days]) =>
    rule(what, `${prefix}${what}/`, { Expiration: { Days } }),
  )
  const aborting = rule('uploads', prefix, {
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: unseenDays },
    NoncurrentVersionExpiration: { NoncurrentDays: unseenDays },
    Expiration: { ExpiredObjectDeleteMarker: true },
  })
  return {
    wanted: [...expiring.filter(({ Expiration }) => Expiration?.Days), aborting],
    names: new Set<string | undefined>([...expiring, aborting].map(({ ID }) => ID)),
  }
}

function inWords(rule: LifecycleRule): string {
  const {
    Expiration: old,
    AbortIncompleteMultipartUpload: parts,
    NoncurrentVersionExpiration: versions,
  } = rule
  const removed = [
    ...(old?.Days ? [`objects are removed after ${old.Days} days`] : []),
    ...(parts ? [`parts of unfinished uploads are removed after ${parts.DaysAfterInitiation} days`] : []),
    ...(versions ? [`versions of deleted objects are removed after ${versions.NoncurrentDays} days`] : []),
    ...(old?.ExpiredObjectDeleteMarker ? ['then their delete markers'] : []),
  ].join(', ')
  // Some servers answer in the older form, without <Filter>.
  const { Prefix = rule.Prefix } = rule.Filter ?? {}
  return `${Prefix || 'the whole bucket'}: ${removed}${rule.Status === 'Enabled' ? '' : ' (disabled)'}`
}

async function lifecycle(write: boolean, json: boolean): Promise<number> {
  const config = readConfig(
    process.env,
    pick('DATA_DIR', 'STORAGE_URL', 'KEEP_PHOTOS_DAYS', 'KEEP_KEYS_DAYS'),
  )
  const address = storageAddress(storageUrl(config.STORAGE_URL, config.DATA_DIR))
  if (!address || 'folder' in address)
    throw new ConfigError('STORAGE_URL names a folder, which has no rules: only a bucket has')
  const ages = { photos: config.KEEP_PHOTOS_DAYS, keys: config.KEEP_KEYS_DAYS }
  const { wanted, names } = rulesFor(address, ages)
  const { Bucket, send } = await connect(address)
  const read = async () => {
    const get = send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
    const found = await get.catch(ignore('NoSuchLifecycleConfiguration'))
    const { theirs = [], ours = [] } = Object.groupBy(found?.Rules ?? [], ({ ID }) =>
      names.has(ID) ? 'ours' : 'theirs',
    )
    return { theirs, ours, smallest: found?.TransitionDefaultMinimumObjectSize }
  }
  if (write) {
    // Amazon resets TransitionDefaultMinimumObjectSize when a write leaves it out.
    const { theirs, smallest: TransitionDefaultMinimumObjectSize } = await read()
    const LifecycleConfiguration = { Rules: [...theirs, ...wanted] }
    const input = { Bucket, LifecycleConfiguration, TransitionDefaultMinimumObjectSize }
    const put = new PutBucketLifecycleConfigurationCommand(input)
    // Servers such as MinIO refuse rules without this header, in place of which the SDK sends a newer checksum.
    put.middlewareStack.add(
      next => args => {
        const { headers, body } = args.request as { headers: Record<string, string>; body: string }
        headers['content-md5'] = hash('md5', body, 'base64')
        return next(args)
      },
      { step: 'build', priority: 'low' },
    )
    await send(put)
  }
  return show((await read()).ours.map(inWords), wanted.map(inWords), json)
}

/** Prints the rules. Returns the exit status. */
function show(present: string[], wanted: string[], json: boolean): number {
  const equal = present.toSorted().join('\n') === wanted.toSorted().join('\n')
  const lines = [
    ...present.map(rule => `is      ${rule}`),
    ...(equal ? [] : wanted.map(rule => `wanted  ${rule}`)),
    ...(equal ? [] : ['to write these: npm run storage -- lifecycle --write']),
  ]
  process.stdout.write(`${json ? JSON.stringify({ present, wanted, equal }) : lines.join('\n')}\n`)
  return equal ? 0 : 1
}

async function main(): Promise<number> {
  const { values, positionals } = readArguments(args, options, true)
  if (positionals.join() !== 'lifecycle') throw noSuch('verb', positionals.join(' '), ['lifecycle'])
  try {
    return await lifecycle(values.write ?? false, values.json ?? false)
  } catch (error) {
    if (error instanceof ExpectedError) throw error
    const [{ message }, code] = [error as Error, errorCode(error)]
    if (code !== 'NotImplemented')
      throw new ExpectedError(`cannot read or write the rules of the bucket: ${message} (${code})`, {
        cause: error,
      })
    process.stderr.write(
      'the S3 server of STORAGE_URL has no lifecycle rules: remove old objects by other means\n',
    )
    return 1
  }
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, main)
