import { readFileSync } from 'node:fs'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { maybe, number, oneOf, read, required, rule, type Typed, text } from '../slo/directory/shape.ts'
import { readDocument } from '../slo/objectives/document.ts'
import { kinds } from './spec.ts'

const flag = rule<boolean>('true or false', value => typeof value === 'boolean')
const any = rule<number>('a number', value => typeof value === 'number')
const means = required(oneOf('good', 'late', 'broken', 'unknown'))
const link = { title: required(text), url: required(text) } as const

const panel = {
  kind: oneOf(...kinds),
  title: required(text),
  description: required(text),
  unit: required(text),
  width: number(1, 24),
  height: number(1, 100),
  queries: [{ legend: required(text), expr: required(text), exemplars: flag }],
  min: rule<number | null>(
    'a number, or null for none',
    value => value === null || typeof value === 'number',
  ),
  max: any,
  softMax: any,
  decimals: number(0, 10),
  stacked: oneOf('sum', 'share'),
  thresholds: maybe([
    {
      above: required(
        rule<number | string>(
          'a number, or the name of an objective',
          value => typeof value === 'number' || typeof value === 'string',
        ),
      ),
      means,
    },
  ] as const),
  values: maybe({ '*': { text: required(text), means } } as const),
  links: maybe([link] as const),
  lastDay: flag,
  nothing: text,
} as const

/** The keys of a YAML file of the folder dashboards/; spec.ts has their meanings. */
const schema = {
  description: required(text),
  labels: maybe({ '*': text } as const),
  ago: maybe([text] as const),
  pages: maybe([{ name: required(text), title: required(text), address: required(text) }] as const),
  hours: number(1, 8_760),
  rows: [{ title: required(text), panels: [panel] }],
} as const
export type Written = Typed<typeof schema>

/** @throws ExpectedError with the file, line and place of each value that a dashboard cannot have */
export function readWritten(file: string): Written {
  const document = readDocument(file, readFileSync(file, 'utf8'))
  const { value, findings } = read(schema, document, document.value ?? {})
  const wrong = document.syntax.length > 0 ? document.syntax : findings
  if (wrong.length > 0)
    throw new ExpectedError(
      wrong.map(({ line, message, fix }) => `${file}:${line}: ${message}; ${fix}`).join('\n'),
    )
  return value
}
