import { setTimeout } from 'node:timers/promises'
import { clientOf, stores } from './seaweedfs.ts'

/** For compose.yaml: creates BUCKET at ENDPOINT, and ends when the S3 server stores in it. */
const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env
const [endpoint = '', bucket = ''] = process.argv.slice(2)
const client = clientOf(endpoint, {
  accessKeyId: AWS_ACCESS_KEY_ID,
  secretAccessKey: AWS_SECRET_ACCESS_KEY,
})
while (!(await stores(client, bucket))) await setTimeout(500)
client.destroy()
