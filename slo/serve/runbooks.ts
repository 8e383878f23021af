import { fileURLToPath } from 'node:url'
import type { RequestHandler } from 'express'

const root = fileURLToPath(new URL('../../docs/runbooks', import.meta.url))
/** They are written to be read as they are; a browser would download Markdown. */
const headers = { 'Content-Type': 'text/plain; charset=utf-8' }

/** `GET /docs/runbooks/:name`: what objectives and alerts name relative to the pages is found there. */
export const runbook: RequestHandler<{ name: string }> = ({ params }, response, next) =>
  response.sendFile(params.name, { root, headers }, error => error && next(error))
