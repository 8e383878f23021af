import { startVersity } from '../../test/s3-servers.ts'
import { describeWithParts } from '../../test/support.ts'
import { bucketContract } from './test/bucket.ts'

describeWithParts('a bucket of versitygw', ['versitygw'], ({ versitygw }) => {
  bucketContract('versitygw', () => startVersity(versitygw))
})
