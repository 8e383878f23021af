import { readFileSync } from 'node:fs'

/** The value of a JSON file; undefined when the file is missing, unreadable or damaged. */
export function readJsonFile<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** The value of a JSON text; undefined when it is not JSON, such as a line that the disk damaged. */
export function parseJson<T>(text: string): T | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
