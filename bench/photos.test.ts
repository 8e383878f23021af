import { cp, mkdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { pictures } from './photos.ts'

const picture = `${import.meta.dirname}/../slo/tintype/picture.jpg`

test('of a folder of photos the folders in it are left out, and one without any photo is said to have none', async () => {
  const folder = await temporaryFolder()
  await mkdir(`${folder}/2024`)
  await expect(pictures('', folder, true)).rejects.toThrow('holds no photo that the service takes')
  await cp(picture, `${folder}/é.jpg`)
  expect((await pictures('', folder, true)).map(({ file }) => file)).toEqual([`${folder}/é.jpg`])
})
