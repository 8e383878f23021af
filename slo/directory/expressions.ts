import { ExpressionError, parseExpression } from '../diagnose/expression.ts'
import { type Document, type Finding, found, type Path } from '../objectives/document.ts'
import { type Read, resource } from './service-keys.ts'
import { fill, templatesOf } from './template.ts'

/** A resource that affects a stage's time. */
export type ResourceReading = Pick<Read['resources'][number], 'metric' | 'limit' | 'blames'> &
  Required<Pick<Read['resources'][number], (typeof needed)[number]>>
const needed = ['stage', 'cause', 'kind', 'query', 'action'] as const

/**
 * The part of a service.yaml for diagnosis, with expanded templates, and its faults. A resource is repeated for each
 * row of `for`, whose keys override its own or replace `$key` in it.
 */
export function writtenOut(document: Document, { expressions, stages, traffic, replicas, ...read }: Read) {
  const findings: Finding[] = []
  const add = (path: Path, rule: string, values: Record<string, string>) =>
    void findings.push(found(document, path, rule, values))
  const known = templatesOf(expressions)
  const out = (path: Path, text: string, templates = known): string => {
    try {
      return fill(text, templates)
    } catch (error) {
      add(path, 'no-expression', { message: (error as Error).message })
      return ''
    }
  }
  const check = (path: Path, text: string): string => {
    try {
      if (text !== '') parseExpression(text)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      add(path, 'expression', { message: error.message, text })
    }
    return text
  }
  const promql = (path: Path, text: string) => check(path, out(path, text))
  const names = stages.map(({ name }) => name)

  const resources = read.resources.flatMap(({ for: rows = [{}], ...row }, i) =>
    rows.map((own: Readonly<Record<string, unknown>>) => {
      const path = ['resources', i]
      const place = `resources[${i}]`
      const isKey = (name: string) => Object.hasOwn(resource, name)
      const overrides = Object.entries(own).filter(([name]) => isKey(name))
      const texts = Object.entries(own).filter(
        (each): each is [string, string] => !isKey(each[0]) && typeof each[1] === 'string',
      )
      const templates = new Map([...known, ...templatesOf(Object.fromEntries(texts))])
      const filled = Object.entries({ ...row, ...Object.fromEntries(overrides) }).map(([key, value]) => [
        key,
        typeof value === 'string' ? out([...path, key], value, templates) : value,
      ])
      const result = Object.fromEntries(filled) as ResourceReading
      for (const key of needed) if (result[key] === undefined) add(path, 'no-key', { place, key })
      for (const name of [result.stage ?? [], result.blames ?? []].flat())
        if (!names.includes(name))
          add(path, 'unknown-stage', { place, name, known: names.join(', ') || 'none: give stages first' })
      check([...path, 'query'], result.query ?? '')
      return result
    }),
  )
  check(['replicas'], replicas.replaceAll('$job', 'job'))
  return {
    findings,
    resources,
    traffic: promql(['traffic'], traffic),
    stages: stages.map((stage, i) => ({
      ...stage,
      seconds: promql(['stages', i, 'seconds'], stage.seconds),
      ...(stage.failing && { failing: promql(['stages', i, 'failing'], stage.failing) }),
    })),
  }
}
