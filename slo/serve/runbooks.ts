import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RequestHandler } from 'express'
import type { Directory } from '../directory.ts'

/** Runbooks of alerts that every service has. */
const general = fileURLToPath(new URL('../../docs/runbooks', import.meta.url))
/** Runbooks are sent as plain text, because a browser would download Markdown. */
const headers = { 'Content-Type': 'text/plain; charset=utf-8', Vary: 'Accept-Language' }
const options = { headers, acceptRanges: false }

/**
 * `GET /docs/runbooks/:name`: objectives and alerts name their runbook relative to the pages. A translation in
 * ../ko/runbooks is sent for `?lang=ko` and to browsers that prefer Korean.
 */
export function runbooks({ folder, service }: Directory): RequestHandler<{ name: string }> {
  const folders = [resolve(folder, service.runbooks), general]
  const translated = folders.flatMap(each => [resolve(each, '../ko/runbooks'), each])
  return (request, response, next) => {
    const isKorean = (request.query.lang ?? request.acceptsLanguages('en', 'ko')) === 'ko'
    const sendFrom = ([root, ...rest]: string[]): void => {
      if (root === undefined) next()
      else response.sendFile(request.params.name, { ...options, root }, missing => missing && sendFrom(rest))
    }
    sendFrom(isKorean ? translated : folders)
  }
}
