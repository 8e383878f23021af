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
  expect(texts.filter(text => !words.ko?.[text])).toEqual([])
  expect(Object.keys(words.ko ?? {}).filter(text => text.length > 40 && !texts.includes(text))).toEqual([])
})
