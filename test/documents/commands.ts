import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { variables } from '@tintype/lib/variables.ts'
import { sloHere } from '../../slo/test/here.ts'
import { type Ended, runScript } from '../support.ts'
import { read, root } from '../tidy/sources.ts'
import { englishOf, pages, sectionsOf } from './page.ts'

/** A command of a page, with its line. `fenced`: it is a line of a shell block. */
export type Command = { page: string; line: number; text: string; fenced: boolean }

export const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

export const at = ({ page, line, text }: Command): string => `${page}:${line}: ${text}`

/** Programs that are not part of this repository. */
const foreign = /^(cd|curl|docker|kill|kubectl|pgrep)$/
/** Variables that other programs read. */
const foreignVariable = /^(PATH|(AWS|PG)[A-Z_]+)$/

/** Every command of every page. Korean pages name the same ones: twins.ts compares them. */
export const commands: Command[] = pages
  .filter(page => englishOf(page) === page)
  .flatMap(page =>
    sectionsOf(page).flatMap(({ blocks, codes }) => [
      ...blocks.filter(({ language }) => language === 'sh').flatMap(block => linesOf(page, block)),
      ...codes
        .filter(({ text }) => /^(npm|npx) [a-z]/.test(text))
        .map(({ line, text }) => ({ page, line, text, fenced: false })),
    ]),
  )

function linesOf(page: string, { line, text }: { line: number; text: string }): Command[] {
  const joined = text.replaceAll(/\\\n\s*/g, ' ').split('\n')
  return joined
    .map((each, index) => ({
      page,
      line: line + 1 + index,
      text: each.replace(/(^|\s)#.*$/, '').trim(),
      fenced: true,
    }))
    .filter(({ text }) => text !== '')
}

/** Words of one simple command, without quotes and redirections. */
const wordsOf = (text: string): string[] =>
  (text.match(/(?:"[^"]*"|'[^']*'|\$\([^)]*\)|\S)+/g) ?? [])
    .map(word => word.replaceAll(/["']/g, ''))
    .filter((word, index, all) => word !== '>' && all[index - 1] !== '>')

/** Scripts, verbs, options, files and variables of a command that do not exist. */
export async function lackingIn({ text }: Command): Promise<string[]> {
  const simple = text.split(/ (?:&&|\|) /).map(wordsOf)
  return (await Promise.all(simple.map(lackingInSimple))).flat()
}

async function lackingInSimple(words: string[]): Promise<string[]> {
  const set = words.findIndex(word => !/^(export$|[A-Z_]+=)/.test(word))
  const [program = 'export', ...args] = set < 0 ? [] : words.slice(set)
  const unknown = words
    .slice(0, set < 0 ? undefined : set)
    .map(word => word.split('=')[0] ?? '')
    .filter(name => name !== 'export' && !(name in variables) && !foreignVariable.test(name))
    .map(name => `no variable ${name}`)
  const paths = args
    .filter(word => /^(bench|docs|k8s|services|slo|test|tools)\/[\w/.-]+$/.test(word))
    .filter(path => !existsSync(join(root, path)))
    .map(path => `no file ${path}`)
  return [...unknown, ...paths, ...(await lackingInProgram(program, args))]
}

async function lackingInProgram(program: string, args: string[]): Promise<string[]> {
  const [first = '', ...rest] = args
  if (program === 'npx' && first === 'slo') return lackingInHelp('slo', rest)
  if (program === 'npx')
    return existsSync(join(root, 'node_modules/.bin', first)) ? [] : [`no program ${first}`]
  if (program === 'npm') return lackingInNpm(args.filter(word => word !== '-s'))
  return program === 'export' || foreign.test(program) ? [] : [`unknown program ${program}`]
}

async function lackingInNpm([verb = '', script = '', ...rest]: string[]): Promise<string[]> {
  if (/^(ci|install)$/.test(verb)) return []
  if (/^(start|test)$/.test(verb)) return scripts[verb] ? [] : [`no script ${verb}`]
  if (verb === 'run' && script === '') return [] // the way to call, not a command
  if (verb !== 'run' || !scripts[script]) return [`no script ${script}`]
  return lackingInHelp(
    script,
    rest.filter(word => word !== '--'),
  )
}

async function lackingInHelp(script: string, [verb = '', ...rest]: string[]): Promise<string[]> {
  const options = [verb, ...rest].flatMap(word => /^--[a-z][\w-]*/.exec(word)?.[0] ?? [])
  const named = /^[a-z][a-z -]*$/.test(verb) ? verb : ''
  if (named === '' && options.length === 0) return []
  const { out: general } = await helpOf(script)
  const help = named && general.includes('VERB --help') ? (await helpOf(script, named)).out : general
  return [named, ...options]
    .filter(word => word !== '' && word !== '--help' && word !== '--version')
    .filter(word => !new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(help))
    .map(word => `${script} --help does not name ${word}`)
}

const helps = new Map<string, Promise<Ended>>()

/** The output of `npm run script -- verb --help`, cached. */
export function helpOf(script: string, ...verb: string[]): Promise<Ended> {
  const args = [...verb, '--help']
  const key = [script, ...args].join(' ')
  const asked =
    helps.get(key) ?? (script === 'slo' ? sloHere({}, ...args) : runScript(fileOf(script), args, {}))
  helps.set(key, asked)
  return asked
}

/** The file that a script of package.json runs. */
export const fileOf = (script: string): string => /\S+\.ts/.exec(scripts[script] ?? '')?.[0] ?? ''
