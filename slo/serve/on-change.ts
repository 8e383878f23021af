/** Calls `say` when a trouble begins or changes, and with null when it ends, but not at each report. */
export function onChange(say: (trouble: string | null) => void): (trouble: string | null) => void {
  let said: string | null = null
  return trouble => {
    if (trouble === said) return
    said = trouble
    say(trouble)
  }
}
