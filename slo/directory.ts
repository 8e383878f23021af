import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readConfig } from '@tintype/lib/config.ts'
import { describeError, ExpectedError } from '@tintype/lib/errors.ts'
import { pick } from '@tintype/lib/variables.ts'
import { parseService, type Service } from './directory/service.ts'
import { type Finding, foundIn } from './objectives/document.ts'
import { formatFinding, parseFiles, show } from './objectives/objectives.ts'
import type { Objective } from './sources/index.ts'

/** Tintype's own directory. A packed slo is without it. */
export const tintypeFolder = fileURLToPath(new URL('tintype/', import.meta.url))

export const defaultFolder = existsSync(tintypeFolder) ? tintypeFolder : 'slo'

/** The command that a person types before a verb. */
export const program = existsSync(tintypeFolder) ? 'npm run slo --' : 'slo'

/** The same where its output becomes a file, to which npm would add lines of its own. */
export const intoFile = program.replace('run', 'run -s')

/** What slo knows about the service that it watches. */
export type Directory = { folder: string; objectives: readonly Objective[]; service: Service }

/**
 * Reads a directory, `isWhole` with the expressions of diagnosis. PROMETHEUS_* and SCRAPE_SECONDS of the environment
 * override service.yaml.
 * @throws ExpectedError with every error; ConfigError.
 */
export function readDirectory(path = tintypeFolder, env: NodeJS.ProcessEnv = {}, isWhole = true): Directory {
  const { findings, ...service } = readServiceFile(path, env, isWhole)
  const parsed = parseFiles([join(path, 'objectives')])
  const all = [...findings, ...parsed.flatMap(each => each.findings)]
  if (all.length > 0) throw new ExpectedError(all.map(formatFinding).join('\n'))
  return { folder: path, objectives: parsed.flatMap(({ objectives }) => objectives), service }
}

/** Reads service.yaml alone. With findings `service` has the defaults. @throws ConfigError */
export function readServiceFile(folder: string, environment: NodeJS.ProcessEnv, isWhole = true) {
  const file = join(folder, 'service.yaml')
  const text = existsSync(file) ? readFileSync(file, 'utf8') : undefined
  const { findings, service } = parseService(show(file), text ?? '', isWhole)
  const config = readConfig(environment, pick('PROMETHEUS_URL', 'PROMETHEUS_HEADERS', 'SCRAPE_SECONDS'))
  return {
    ...service,
    headers: config.PROMETHEUS_HEADERS,
    ...(config.PROMETHEUS_URL && { prometheus: config.PROMETHEUS_URL }),
    ...(environment.SCRAPE_SECONDS && { scrapeSeconds: config.SCRAPE_SECONDS }),
    findings:
      text === undefined
        ? [foundIn(show(file), 'no-service', { program })]
        : [...findings, ...noModules(folder, service)],
  }
}

/** Findings for modules that service.yaml names and that do not exist. */
const noModules = (folder: string, service: Service): Finding[] =>
  (['metrics', 'probe', 'examples', 'witnesses'] as const).flatMap(key => {
    const name = service[key]
    return typeof name !== 'string' || name === '' || existsSync(join(folder, name))
      ? []
      : [foundIn(show(join(folder, 'service.yaml')), 'no-module', { key, name })]
  })

/** Runbooks of alerts that every service has. */
const generalRunbooks = fileURLToPath(new URL('../docs/runbooks', import.meta.url))

/** The folders whose files slo's pages serve as docs/runbooks/NAME. */
export const runbookFolders = ({ folder, service }: Pick<Directory, 'folder' | 'service'>): string[] => [
  resolve(folder, service.runbooks),
  generalRunbooks,
]

/**
 * Loads a module that service.yaml names; undefined when it names none. `needed`: what it must export.
 * @throws ExpectedError naming the module.
 */
export async function loadModule<M extends object>(
  folder: string,
  name: string,
  ...needed: (keyof M & string)[]
): Promise<M | undefined> {
  if (name === '') return undefined
  const file = resolve(folder, name)
  const module: M = await import(pathToFileURL(file).href).catch(error => {
    throw new ExpectedError(`${show(file)} cannot be loaded: ${describeError(error)}`)
  })
  const missing = needed.filter(each => !(each in module))
  if (missing.length > 0) throw new ExpectedError(`${show(file)} does not export ${missing.join(' and ')}`)
  return module
}
