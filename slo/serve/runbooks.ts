import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RequestHandler } from 'express'
import type { Directory } from '../directory.ts'

/** Those of alerts that every service has. */
const general = fileURLToPath(new URL('../../docs/runbooks', import.meta.url))
/** They are written to be read as they are; a browser would download Markdown. */
const headers = { 'Content-Type': 'text/plain; charset=utf-8' }

/** `GET /docs/runbooks/:name`: what objectives and alerts name relative to the pages is found there. */
export function runbooks({ folder, service }: Directory): RequestHandler<{ name: string }> {
  const own = resolve(folder, service.runbooks)
  return ({ params: { name } }, response, next) =>
    response.sendFile(name, { root: own, headers }, missing => {
      if (missing) response.sendFile(name, { root: general, headers }, error => error && next(error))
    })
}
