/** Says what is wrong when it begins, when it changes and, with null, when it ends; not each time it is asked. */
export function onChange(say: (trouble: string | null) => void): (trouble: string | null) => void {
  let said: string | null = null
  return trouble => {
    if (trouble === said) return
    said = trouble
    say(trouble)
  }
}
