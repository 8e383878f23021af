import { s3Environment, startSeaweed, startVersity } from '../../test/s3-servers.ts'
import { describeWithParts } from '../../test/support.ts'
import { storageContract } from './contract.ts'

Object.assign(process.env, s3Environment)

describeWithParts('a bucket of SeaweedFS', ['seaweedfs'], ({ seaweedfs }) => {
  storageContract('SeaweedFS', () => startSeaweed(seaweedfs), { foldersFirst: true, racingParts: true })
})

describeWithParts('a bucket of versitygw', ['versitygw'], ({ versitygw }) => {
  storageContract('versitygw', () => startVersity(versitygw))
})
