import { startSeaweed } from '../../test/s3-servers.ts'
import { describeWithParts } from '../../test/support.ts'
import { bucketContract } from './test/bucket.ts'

describeWithParts('a bucket of SeaweedFS', ['seaweedfs'], ({ seaweedfs }) => {
  bucketContract('SeaweedFS', () => startSeaweed(seaweedfs), { foldersFirst: true, racingParts: true })
})
