import { checkExpression } from '../diagnose/expression.ts'
import type { Document, Finding, Path } from '../objectives/document.ts'
import { found } from '../objectives/found.ts'
import { type Written, writtenOut } from './template.ts'

const needed = ['stage', 'cause', 'kind', 'query', 'action']

/** What is wrong with the expressions of a service.yaml and with the resources that they make. */
export function checkExpressions(document: Document, written: Written): Finding[] {
  const { expressions = {}, stages = [], resources = [], traffic = '', replicas = '' } = written
  const names = stages.map(({ name }) => name)
  const check = (path: Path, text: unknown): Finding[] => {
    const wrong = typeof text === 'string' && text !== '' ? checkExpression(text) : undefined
    return wrong ? [found(document, path, 'expression', { message: wrong.message, text: String(text) })] : []
  }
  const checkPart = (
    path: Path,
    part: Written,
    use: (out: ReturnType<typeof writtenOut>) => Finding[],
  ): Finding[] => {
    try {
      return use(writtenOut({ expressions, ...part }))
    } catch (error) {
      return [found(document, path, 'no-expression', { message: (error as Error).message })]
    }
  }
  const checkResource = (path: Path, resource: Readonly<Record<string, unknown>>): Finding[] => {
    const place = `resources[${path[1]}]`
    const known = names.join(', ') || 'none: give stages first'
    const used = [resource.stage, ...((resource.blames ?? []) as string[])].filter(name => name !== undefined)
    return [
      ...needed
        .filter(key => resource[key] === undefined)
        .map(key => found(document, path, 'no-key', { place, key })),
      ...used
        .map(String)
        .filter(name => !names.includes(name))
        .map(name => found(document, path, 'unknown-stage', { place, name, known })),
      ...check([...path, 'query'], resource.query),
    ]
  }
  return [
    ...check(['replicas'], replicas.replaceAll('$job', 'job')),
    ...checkPart(['traffic'], { traffic }, out => check(['traffic'], out.traffic)),
    ...stages.flatMap((stage, i) =>
      checkPart(['stages', i], { stages: [stage] }, ({ stages: [out] }) =>
        (['seconds', 'failing'] as const).flatMap(key => check(['stages', i, key], out?.[key])),
      ),
    ),
    ...resources.flatMap((row, i) =>
      checkPart(['resources', i], { resources: [row] }, out =>
        out.resources.flatMap(each => checkResource(['resources', i], each)),
      ),
    ),
  ]
}
