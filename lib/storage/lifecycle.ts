import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3'
import type { Ages, Lifecycle, S3Address } from './index.ts'
import { connect, isCode } from './s3-client.ts'

/** An upload that a kill cut off leaves its parts, which cost room and which no listing shows. */
const abortAfterDays = 1

/** @throws what the server answers; its code is NotImplemented where there are no such rules. */
export async function lifecycleOf(address: S3Address, ages: Ages): Promise<Lifecycle> {
  const { Bucket, prefix, send, close } = await connect(address)
  const nameOf = (what: string) => `tintype ${prefix}${what}`
  const expiring = Object.entries(ages).map(([what, Days]) => ({
    ID: nameOf(what),
    Filter: { Prefix: `${prefix}${what}/` },
    Status: 'Enabled' as const,
    Expiration: { Days },
  }))
  const aborting = {
    ID: nameOf('uploads'),
    Filter: { Prefix: prefix },
    Status: 'Enabled' as const,
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortAfterDays },
  }
  const ours = new Set<string | undefined>([...expiring, aborting].map(({ ID }) => ID))
  const wanted = [...expiring.filter(({ Expiration }) => Expiration.Days > 0), aborting]

  async function present(): Promise<LifecycleRule[]> {
    try {
      const { Rules = [] } = await send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
      return Rules
    } catch (error) {
      if (isCode(error, 'NoSuchLifecycleConfiguration')) return []
      throw error
    }
  }

  return {
    compare: async () => ({
      present: (await present()).filter(({ ID }) => ours.has(ID)).map(inWords),
      wanted: wanted.map(inWords),
    }),
    async write() {
      const others = (await present()).filter(({ ID }) => !ours.has(ID))
      const LifecycleConfiguration = { Rules: [...others, ...wanted] }
      await send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }))
    },
    close,
  }
}

const inWords = ({ Filter, Status, Expiration, AbortIncompleteMultipartUpload }: LifecycleRule): string =>
  [
    `${Filter?.Prefix || 'the whole bucket'}:`,
    ...(Expiration ? [`objects are removed after ${Expiration.Days} days`] : []),
    ...(AbortIncompleteMultipartUpload
      ? [
          `parts of unfinished uploads are removed after ${AbortIncompleteMultipartUpload.DaysAfterInitiation} days`,
        ]
      : []),
    ...(Status === 'Enabled' ? [] : ['(disabled)']),
  ].join(' ')
