/** Calls `say` when a trouble begins, changes and, with null, ends; not each time it is reported. */
export function onChange(say: (trouble: string | null) => void): (trouble: string | null) => void {
  let said: string | null = null
  return trouble => {
    if (trouble === said) return
    said = trouble
    say(trouble)
  }
}
