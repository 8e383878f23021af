import { checkExpression } from '../diagnose/expression.ts'
import type { Document, Finding, Path } from '../objectives/document.ts'
import { type Written, writtenOut } from './template.ts'

const needed = ['stage', 'cause', 'kind', 'query', 'action']

/** What is wrong with the expressions of a service.yaml and with the resources that they make. */
export function checkExpressions(document: Document, written: Written & { replicas?: string }): Finding[] {
  const { expressions = {}, stages = [], resources = [], traffic = '', replicas = '' } = written
  const names = stages.map(({ name }) => name)
  const check = (path: Path, text: unknown): Finding[] => {
    const wrong = typeof text === 'string' && text !== '' ? checkExpression(text) : undefined
    return wrong
      ? [document.finding(path, 'expression', `${wrong.message} in ${text}`, 'correct the PromQL')]
      : []
  }
  const checkPart = (
    path: Path,
    part: Written,
    use: (out: ReturnType<typeof writtenOut>) => Finding[],
  ): Finding[] => {
    try {
      return use(writtenOut({ expressions, ...part }))
    } catch (error) {
      return [document.finding(path, 'expression', (error as Error).message, 'name it under expressions')]
    }
  }
  const checkResource = (path: Path, resource: Readonly<Record<string, unknown>>): Finding[] => {
    const place = `resources[${path[1]}]`
    const missing = needed.filter(key => resource[key] === undefined)
    const unknown = [resource.stage, ...((resource.blames ?? []) as string[])].filter(
      name => name !== undefined && !names.includes(String(name)),
    )
    return [
      ...missing.map(key =>
        document.finding(path, 'shape', `${place}.${key} is missing`, 'give it here, or in each row of for'),
      ),
      ...unknown.map(name =>
        document.finding(
          path,
          'unknown-stage',
          `${place} names the stage "${name}", which is not there`,
          `it may be ${names.join(', ') || 'none: give stages first'}`,
        ),
      ),
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
