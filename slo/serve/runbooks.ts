import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RequestHandler } from 'express'
import type { Directory } from '../directory.ts'

/** Those of alerts that every service has. */
const general = fileURLToPath(new URL('../../docs/runbooks', import.meta.url))
/** They are written to be read as they are; a browser would download Markdown. */
const headers = { 'Content-Type': 'text/plain; charset=utf-8', Vary: 'Accept-Language' }

const foldersOf = ({ folder, service }: Directory): string[] => [resolve(folder, service.runbooks), general]

/** The address of a cause's runbook, relative to the pages; null when there is none. */
export function runbookOfCause(directory: Directory, cause: string | null): string | null {
  const file = `cause-${cause}.md`
  return foldersOf(directory).some(each => existsSync(join(each, file))) ? `docs/runbooks/${file}` : null
}

/**
 * `GET /docs/runbooks/:name`: objectives and alerts name their runbook relative to the pages. A translation in
 * ../ko/runbooks is sent for `?lang=ko` and to browsers that prefer Korean.
 */
export function runbooks(directory: Directory): RequestHandler<{ name: string }> {
  const folders = foldersOf(directory)
  const translated = folders.flatMap(each => [resolve(each, '../ko/runbooks'), each])
  return (request, response, next) => {
    const isKorean = (request.query.lang ?? request.acceptsLanguages('en', 'ko')) === 'ko'
    const sendFrom = ([root, ...rest]: string[]): void => {
      if (root === undefined) next()
      else response.sendFile(request.params.name, { root, headers }, missing => missing && sendFrom(rest))
    }
    sendFrom(isKorean ? translated : folders)
  }
}
