import { checkExpression } from '../diagnose/expression.ts'
import { type Expressions, type Row, writtenOut } from '../diagnose/template.ts'
import type { StageReading } from '../directory.ts'
import type { Document, Finding, Path } from '../objectives/document.ts'

type Written = {
  expressions?: Expressions
  stages?: readonly StageReading[]
  resources?: readonly Row[]
  traffic?: string
}

const needed = ['stage', 'cause', 'kind', 'query', 'action'] as const

/** What is wrong with the expressions of a service.yaml and with the resources that they make. */
export function checkExpressions(
  document: Document,
  { expressions = {}, stages = [], resources = [], traffic = '' }: Written,
): Finding[] {
  const names = stages.map(({ name }) => name)
  const check = (path: Path, text: string): Finding[] => {
    const wrong = text === '' ? undefined : checkExpression(text)
    return wrong
      ? [document.finding(path, 'expression', `${wrong.message} in ${text}`, 'correct the PromQL')]
      : []
  }
  const out = <T>(path: Path, read: () => T, use: (value: T) => Finding[]): Finding[] => {
    try {
      return use(read())
    } catch (error) {
      return [document.finding(path, 'expression', (error as Error).message, 'name it under expressions')]
    }
  }
  return [
    ...out(
      ['traffic'],
      () => writtenOut({ expressions, traffic }).traffic,
      text => check(['traffic'], text),
    ),
    ...stages.flatMap((stage, i) =>
      out(
        ['stages', i],
        () => writtenOut({ expressions, stages: [stage] }).stages,
        ([written]) => [
          ...check(['stages', i, 'seconds'], written?.seconds ?? ''),
          ...check(['stages', i, 'failing'], written?.failing ?? ''),
        ],
      ),
    ),
    ...resources.flatMap((row, i) =>
      out(
        ['resources', i],
        () => writtenOut({ expressions, resources: [row] }).resources,
        written =>
          written.flatMap(each => [
            ...lacking(document, i, each),
            ...unknownStages(document, i, each, names),
            ...check(['resources', i, 'query'], each.query ?? ''),
          ]),
      ),
    ),
  ]
}

const lacking = (document: Document, i: number, resource: Row): Finding[] =>
  needed
    .filter(key => resource[key] === undefined)
    .map(key =>
      document.finding(
        ['resources', i],
        'shape',
        `resources[${i}].${key} is missing`,
        `give it here, or in each row of for`,
      ),
    )

const unknownStages = (
  document: Document,
  i: number,
  { stage, blames = [] }: Row,
  names: readonly string[],
): Finding[] =>
  [stage, ...blames]
    .filter(name => name !== undefined && !names.includes(name))
    .map(name =>
      document.finding(
        ['resources', i],
        'unknown-stage',
        `resources[${i}] names the stage "${name}", which is not there`,
        `it may be ${names.join(', ') || 'none: give stages first'}`,
      ),
    )
