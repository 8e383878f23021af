import { expect, test } from 'vitest'
import { readDirectory } from '../directory.ts'

test('each objective, each stage and each action of a verdict has its Korean text', () => {
  const { objectives, service } = readDirectory()
  const { words, stages, resources, away, jobs } = service
  const texts = [
    ...objectives.flatMap(({ displayName, description }) => [displayName, description]),
    ...stages.map(({ name }) => name),
    ...resources.map(({ action }) => action),
    ...jobs.map(job => away.action.replaceAll('$job', job)),
  ]
  const known = Object.keys(words.ko ?? {}).map(each => [
    each,
    ...jobs.map(job => each.replace('{job}', job)),
  ])
  expect(texts.filter(text => !known.flat().includes(text))).toEqual([])
  const unused = known.filter(
    ([text = '', ...forms]) => text.length > 40 && !forms.some(each => texts.includes(each)),
  )
  expect(unused).toEqual([])
})
