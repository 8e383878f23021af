/** The value of a JSON text; undefined when it is not JSON, such as a line that the disk damaged. */
export function parseJson<T>(text: string): T | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
