import { ExpressionError } from '../diagnose/expression.ts'
import { outsideQuotes } from '../sources/promql.ts'

type Templates = ReadonlyMap<string, { parameters: readonly string[]; text: string }>

/** `expressions` maps `name` or `name(parameter, …)` to the expression that replaces `$name(argument, …)`. */
export const templatesOf = (expressions: Readonly<Record<string, unknown>>): Templates =>
  new Map(
    Object.entries(expressions).map(([head, text]) => {
      const [, name = head, parameters] = /^(\w+)(?:\((.*)\))?$/.exec(head) ?? []
      return [name, { parameters: parameters?.split(',').map(each => each.trim()) ?? [], text: String(text) }]
    }),
  )

const nameText = /\$(?:(?![wb]\b)(\w+)|\{(\w+)\})/
/** An expression that is nested deeper refers to itself. */
const mostWithin = 30

/**
 * Replaces each `$name`, `$name(argument, …)` and `${name}` in a text, except `$w` and `$b`.
 * @throws ExpressionError naming an unknown one.
 */
export function fill(text: string, templates: Templates, depth = 0): string {
  if (depth > mostWithin) throw new ExpressionError(`the expressions name each other without end in ${text}`)
  const found = nameText.exec(text)
  if (!found) return text
  const [whole, plain, name = plain as string] = found
  const template = templates.get(name)
  if (!template) throw new ExpressionError(`$${name} is not an expression`)
  const { parameters } = template
  const after = text.slice(found.index + whole.length)
  const [values, rest] = parameters.length > 0 ? argumentsOf(after, parameters.length) : [[], after]
  if (values.length !== parameters.length)
    throw new ExpressionError(`$${name} takes ${parameters.join(', ')}`)
  const own = parameters.map(
    (parameter, i) =>
      [parameter, { parameters: [], text: fill(values[i] ?? '', templates, depth + 1) }] as const,
  )
  const within = own.length > 0 ? new Map([...templates, ...own]) : templates
  const filled = apart(fill(template.text, within, depth + 1))
  return text.slice(0, found.index) + filled + fill(rest, templates, depth)
}

const step = (character: string) => ('({['.includes(character) ? 1 : ')}]'.includes(character) ? -1 : 0)

/** Adds parentheses to a text of more than one term. */
function apart(text: string): string {
  let depth = 0
  for (const each of outsideQuotes(text).replace(/^\w+ (by|without) ?\([^)]*\) ?|[^ (){}[\]]+/g, '')) {
    if (each === ' ' && depth === 0) return `(${text})`
    depth += step(each)
  }
  return text
}

/** Splits a text that starts with `count` arguments in parentheses (the last may contain commas) and its rest. */
function argumentsOf(text: string, count: number): [values: string[], rest: string] {
  if (text[0] !== '(') return [[], text]
  const values: string[] = []
  let [depth, start] = [0, 1]
  for (const { 0: character, index: at } of outsideQuotes(text).matchAll(/[(){}[\],]/g)) {
    depth += step(character)
    const isLast = depth === 0
    if (!isLast && (character !== ',' || depth > 1 || values.length === count - 1)) continue
    values.push(text.slice(start, at).trim())
    if (isLast) return [values, text.slice(at + 1)]
    start = at + 1
  }
  throw new ExpressionError(`a parenthesis is not closed in ${text}`)
}
