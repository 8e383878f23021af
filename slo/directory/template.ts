import type { Read } from './service-keys.ts'

/** `name` or `name(parameter, …)` to the expression that `$name(argument, …)` stands for. */
type Expressions = Read['expressions']
type Template = { parameters: readonly string[]; text: string }
/** Of service.yaml what diagnosis reads. A resource is written once for each row of `for`, whose keys replace its own or stand in it with `$`. */
export type Written = Partial<Pick<Read, 'expressions' | 'stages' | 'resources' | 'traffic' | 'replicas'>>

/** Every `$name` but `$w` and `$b` is written out. @throws Error that names what is not known. */
export function writtenOut<T extends Written>(service: T) {
  const templates = templatesOf(service.expressions ?? {})
  const out = (text: string) => fill(text, templates)
  return {
    ...service,
    traffic: out(service.traffic ?? ''),
    stages: (service.stages ?? []).map(stage => ({
      ...stage,
      seconds: out(stage.seconds),
      ...(stage.failing && { failing: out(stage.failing) }),
    })),
    resources: (service.resources ?? []).flatMap(row => rowsOf(row, templates)),
  }
}

const keys = ['stage', 'cause', 'kind', 'query', 'action', 'metric', 'limit', 'blames']

function rowsOf(
  { for: each = [{}], ...row }: Read['resources'][number],
  templates: ReadonlyMap<string, Template>,
) {
  return each.map(values => {
    const isKey = (key: string) => key in row || keys.includes(key)
    const own = Object.entries(values)
    const texts = own.filter(([key, value]) => typeof value === 'string' && !keys.includes(key))
    const mine = new Map([...templates, ...templatesOf(Object.fromEntries(texts) as Expressions)])
    const filled = Object.entries({ ...row, ...Object.fromEntries(own.filter(([key]) => isKey(key))) })
    return Object.fromEntries(
      filled.map(([key, value]) => [key, typeof value === 'string' ? fill(value, mine) : value]),
    )
  })
}

function templatesOf(expressions: Expressions): Map<string, Template> {
  return new Map(
    Object.entries(expressions).map(([head, text]) => {
      const [, name = head, parameters] = /^(\w+)(?:\((.*)\))?$/.exec(head) ?? []
      return [name, { parameters: parameters?.split(',').map(each => each.trim()) ?? [], text }]
    }),
  )
}

const nameText = /\$(?:(?![wb]\b)(\w+)|\{(\w+)\})/
/** An expression that is nested deeper names itself. */
const mostWithin = 30

/** A text with each `$name`, `$name(argument, …)` and `${name}` replaced by what it stands for. */
function fill(text: string, templates: ReadonlyMap<string, Template>, within = 0): string {
  if (within > mostWithin) throw new Error(`the expressions name each other without end in ${text}`)
  const found = nameText.exec(text)
  if (!found) return text
  const [whole, plain, name = plain as string] = found
  const template = templates.get(name)
  if (!template) throw new Error(`$${name} is no expression`)
  const { parameters } = template
  const after = text.slice(found.index + whole.length)
  const [values, rest] = parameters.length > 0 ? argumentsOf(after, parameters.length) : [[], after]
  if (values.length !== parameters.length) throw new Error(`$${name} takes ${parameters.join(', ')}`)
  const own = parameters.map((parameter, i): [string, Template] => [
    parameter,
    { parameters: [], text: fill(values[i] ?? '', templates, within + 1) },
  ])
  const filled = apart(fill(template.text, new Map([...templates, ...own]), within + 1))
  return text.slice(0, found.index) + filled + fill(rest, templates, within)
}

const step = (character: string): number =>
  '({['.includes(character) ? 1 : ')}]'.includes(character) ? -1 : 0

/** In parentheses when it is more than one term. */
function apart(text: string): string {
  let depth = 0
  for (const each of text.replaceAll(/"[^"]*"/g, '').replace(/^\w+ (by|without) ?\([^)]*\) ?/, '')) {
    if (each === ' ' && depth === 0) return `(${text})`
    depth += step(each)
  }
  return text
}

/** So many arguments in the parentheses that a text begins with, of which the last may hold commas; and what follows. */
function argumentsOf(text: string, count: number): [values: string[], rest: string] {
  if (text[0] !== '(') return [[], text]
  const values: string[] = []
  let [depth, start] = [0, 1]
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    depth += step(character)
    const isLast = depth === 0
    if (!isLast && (character !== ',' || depth > 1 || values.length === count - 1)) continue
    values.push(text.slice(start, at).trim())
    if (isLast) return [values, text.slice(at + 1)]
    start = at + 1
  }
  throw new Error(`a parenthesis is not closed in ${text}`)
}
