import { appendFileSync, closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../test/support.ts'
import { boundOutput, maxOutputBytes, outputOf } from './program-output.ts'

test('a program’s output takes bounded space, and the newest part is kept', async () => {
  const file = outputOf({ folder: await temporaryFolder() })
  boundOutput(file)
  const ofProgram = openSync(file, 'a')
  onTestFinished(() => closeSync(ofProgram))
  writeSync(ofProgram, 'started\n')
  boundOutput(file)
  expect(readFileSync(file, 'utf8')).toBe('started\n')
  appendFileSync(file, Buffer.alloc(maxOutputBytes, 'x'))
  boundOutput(file)
  writeSync(ofProgram, 'goes on\n')
  expect(readFileSync(file, 'utf8')).toBe('goes on\n')
  expect(statSync(`${file}.1`).size).toBeGreaterThan(maxOutputBytes)
})
