import { ConfigError, ifMissing } from '../config.ts'
import type { Storage, StorageOptions } from './storage.ts'
import { storageAddress, storageUrlFormat } from './storage-url.ts'

export type * from './storage.ts'
export { storageFolders, storageUrl } from './storage-url.ts'

/**
 * Opens the storage that a URL names: `file:` and a folder (if relative, to the working folder), or an S3 bucket.
 * @throws ConfigError when the URL or the installation is wrong; Error when the storage does not work.
 */
export async function openStorage(url: string, options: StorageOptions = {}): Promise<Storage> {
  const address = storageAddress(url)
  if (!address) throw new ConfigError(`STORAGE_URL must be ${storageUrlFormat}`)
  if ('folder' in address) return (await import('./fs.ts')).openFolder(address.folder, options)
  const { openBucket } = await import('./s3.ts').catch(ifMissing('STORAGE_URL', '@aws-sdk/client-s3'))
  return openBucket(address, options)
}
