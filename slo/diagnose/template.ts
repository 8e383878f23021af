import type { ResourceReading, StageReading } from '../directory.ts'

/** `name` or `name(parameter, …)` to the expression that `$name(argument, …)` stands for. */
export type Expressions = Readonly<Record<string, string>>

type Template = { parameters: readonly string[]; text: string }
type Named = { expressions?: Expressions; stages?: readonly StageReading[]; resources?: readonly Row[] }
/** A resource as it is written: once for each row of `for`, whose keys replace its own or stand in it with `$`. */
export type Row = Partial<ResourceReading> & { for?: readonly Readonly<Record<string, unknown>>[] }

/** Of service.yaml what diagnosis reads, every `$name` but `$w` and `$b` written out. @throws Error that names what is not known. */
export function writtenOut<T extends Named & { traffic?: string }>(service: T) {
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
    resources: (service.resources ?? []).flatMap(rowsOf).map(({ row, values }) => {
      const mine = new Map([...templates, ...templatesOf(values)])
      const filled = Object.entries(row).map(([key, value]) => [
        key,
        typeof value === 'string' ? fill(value, mine) : value,
      ])
      return Object.fromEntries(filled) as ResourceReading
    }),
  }
}

function rowsOf({ for: each = [{}], ...row }: Row) {
  return each.map(values => ({
    row: { ...row, ...pick(values, key => key in row || known.includes(key)) },
    values: pick(values, key => typeof values[key] === 'string' && !known.includes(key)) as Expressions,
  }))
}

const known = ['stage', 'cause', 'kind', 'query', 'action', 'metric', 'limit', 'blames']

const pick = (values: Readonly<Record<string, unknown>>, wanted: (key: string) => boolean) =>
  Object.fromEntries(Object.entries(values).filter(([key]) => wanted(key)))

function templatesOf(expressions: Expressions): Map<string, Template> {
  return new Map(
    Object.entries(expressions).map(([head, text]) => {
      const [, name = head, parameters = ''] = /^(\w+)(?:\((.*)\))?$/.exec(head) ?? []
      return [name, { parameters: parameters.split(',').map(each => each.trim()), text }]
    }),
  )
}

const nameText = /\$(?:(\w+)|\{(\w+)\})/y

/** A text with each `$name` and `${name}` replaced by what it stands for. */
function fill(text: string, templates: ReadonlyMap<string, Template>): string {
  let filled = ''
  for (let at = 0; at < text.length; ) {
    nameText.lastIndex = at
    const [whole, plain, braced] = nameText.exec(text) ?? []
    const name = plain ?? braced
    if (!whole || !name || name === 'w' || name === 'b') {
      filled += whole ?? text[at]
      at += whole?.length ?? 1
      continue
    }
    const template = templates.get(name)
    if (!template) throw new Error(`$${name} is no expression`)
    at += whole.length
    const [first = ''] = template.parameters
    const end = first !== '' && text[at] === '(' ? closing(text, at) : at
    const given = end === at ? [] : split(text.slice(at + 1, end), template.parameters.length)
    if (first !== '' && given.length !== template.parameters.length)
      throw new Error(`$${name} takes ${template.parameters.join(', ')}`)
    const values = given.map((value, i): [string, Template] => [
      template.parameters[i] as string,
      { parameters: [''], text: fill(value, templates) },
    ])
    filled += apart(fill(template.text, new Map([...templates, ...values])))
    at = end === at ? at : end + 1
  }
  return filled
}

/** In parentheses when it is more than one term. */
function apart(text: string): string {
  const outside = text.replaceAll(/"[^"]*"/g, '')
  let depth = 0
  for (const each of outside) {
    if (each === ' ' && depth === 0) return /^(sum|max|min) by /.test(text) ? text : `(${text})`
    if ('({['.includes(each)) depth++
    if (')}]'.includes(each)) depth--
  }
  return text
}

/** Index of the parenthesis that closes the one at `from`. */
function closing(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if ('({['.includes(text[at] as string)) depth++
    if (')}]'.includes(text[at] as string) && --depth === 0) return at
  }
  throw new Error(`a parenthesis is not closed in ${text.slice(from)}`)
}

/** So many arguments, of which the last may hold commas. */
function split(text: string, count: number): string[] {
  const parts: string[] = []
  let [depth, start] = [0, 0]
  for (let at = 0; at < text.length && parts.length < count - 1; at++) {
    if ('({['.includes(text[at] as string)) depth++
    if (')}]'.includes(text[at] as string)) depth--
    if (text[at] !== ',' || depth > 0) continue
    parts.push(text.slice(start, at).trim())
    start = at + 1
  }
  return [...parts, text.slice(start).trim()]
}
