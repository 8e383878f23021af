import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UsageError } from '@tintype/lib/command-line.ts'
import { dayMs } from '@tintype/lib/day.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import type { Build } from '../fleet.ts'
import { cache } from '../parts/install.ts'

const root = join(import.meta.dirname, '../..')

/** How a version is named: a folder with a checkout, or a commit of this repository. */
export type Named = { folder: string } | { commit: string }

/** Git's output, or undefined when it fails. */
export const git = (folder: string, ...args: string[]): string | undefined => {
  try {
    return execFileSync('git', ['-C', folder, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch {
    return undefined
  }
}

/** Parses a version's name. @throws UsageError when it is neither. */
export function named(option: string, name: string): Named {
  if (existsSync(name)) {
    if (existsSync(join(name, 'services/web/main.ts'))) return { folder: resolve(name) }
    throw new UsageError(`--${option} "${name}" is a folder, but no checkout of Tintype`)
  }
  const ask = ['-C', root, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`]
  const { status, stdout, stderr, error } = spawnSync('git', ask, { encoding: 'utf8' })
  if (status === 0) return { commit: stdout.trim() }
  // Without git, in a folder that is no repository, or in that of another user (safe.directory).
  const why = (error?.message ?? stderr).split('\n')[0]
  throw new UsageError(
    `--${option} "${name}" is neither a folder nor a git ref of this repository${why ? ` (${why})` : ''}`,
  )
}

/** Whether a running build is this version. */
export const isBuild = (running: Build, it: Named): boolean =>
  'folder' in it
    ? resolve(running.root) === it.folder || contentOf(running.root) === contentOf(it.folder)
    : running.version.endsWith(`+${it.commit.slice(0, 12)}`) ||
      git(running.root, 'rev-parse', 'HEAD')?.trim() === it.commit

/** A version's name before its files are written. */
export const nameOf = (it: Named): string => ('folder' in it ? it.folder : `commit ${it.commit.slice(0, 12)}`)

/**
 * A build that can be started. A commit's files are written once to .parts/releases, with the packages of its lock.
 * `git archive` instead of `git worktree`, so that deleting the folder leaves nothing in the repository.
 */
export function buildOf(it: Named): Build {
  const folder = 'folder' in it ? it.folder : checkout(it.commit)
  if (!existsSync(join(folder, 'node_modules/@tintype/lib')))
    throw new ExpectedError(`${folder} has no packages yet: npm ci --prefix ${folder}`)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const id = 'folder' in it ? contentOf(folder) : it.commit.slice(0, 12)
  return { root: folder, version: `${version}+${id}` }
}

function checkout(commit: string): string {
  const releases = join(cache, 'releases')
  const folder = join(releases, commit)
  if (existsSync(folder)) return folder
  removeUnused(releases)
  const draft = `${folder}.tmp`
  rmSync(draft, { recursive: true, force: true })
  try {
    layOut(commit, draft)
  } catch (cause) {
    rmSync(draft, { recursive: true, force: true })
    // Without a network, for example. npm has said why.
    const why = (cause as Error).message.split('\n')[0]
    throw new ExpectedError(`the files of ${commit.slice(0, 12)} are not complete: ${why}`, { cause })
  }
  renameSync(draft, folder)
  return folder
}

/**
 * Removes the checkouts from which no process runs. Those of the last day stay for a second try, and because another
 * release may be about to start from them.
 */
export function removeUnused(releases: string): void {
  const { status, stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'args='], { encoding: 'utf8' })
  // Without ps, as in some containers, it is not known what runs.
  if (status !== 0) return
  for (const folder of globSync('*', { cwd: releases }).map(name => join(releases, name))) {
    // Another release may remove it at the same time.
    const { mtimeMs = 0 } = statSync(folder, { throwIfNoEntry: false }) ?? {}
    if (!stdout.includes(`${folder}/`) && Date.now() - mtimeMs > dayMs)
      rmSync(folder, { recursive: true, force: true })
  }
}

/** Writes a commit's files into a folder, and installs the packages of its lock. */
export function layOut(commit: string, folder: string): void {
  mkdirSync(folder, { recursive: true })
  const archive = execFileSync('git', ['-C', root, 'archive', '--format=tar', commit], { maxBuffer: 2 ** 30 })
  execFileSync('tar', ['-x', '-C', folder], { input: archive })
  install(folder)
}

/** Installs packages. With the same lock they are hard links to this checkout's, in a second instead of a minute. */
function install(folder: string): void {
  const lock = (of: string) => readFileSync(join(of, 'package-lock.json'), 'utf8')
  if (lock(folder) === lock(root)) {
    for (const each of globSync('{.,lib,slo,services/*}/node_modules', { cwd: root })) {
      const [from, to] = [join(root, each), join(folder, each)]
      // Hard links do not work across file systems.
      if (spawnSync('cp', ['-al', from, to]).status !== 0) execFileSync('cp', ['-aT', from, to])
      rmSync(join(to, '.cache'), { recursive: true, force: true })
    }
  } else execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] })
}

/** A hash of ten digits over all files that are executed. */
function contentOf(folder: string): string {
  const hash = createHash('sha256')
  const files = globSync(['package-lock.json', '{lib,services,slo}/**/*.{ts,yaml,html,css,json}'], {
    cwd: folder,
    exclude: path => path.endsWith('node_modules') || path.endsWith('.test.ts'),
  })
  for (const file of files.toSorted()) hash.update(`${file}\0`).update(readFileSync(join(folder, file)))
  return hash.digest('hex').slice(0, 10)
}
