import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { basename, dirname, extname, join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { gzipSync } from 'node:zlib'
import type { Request, RequestHandler, Response } from 'express'

/** Values for placeholders in HTML: `{PROMISE_SECONDS}`. */
type Values = Readonly<Record<string, unknown>>

/** A compiled file by its encodings. */
type Asset = Record<'gzip' | 'identity', Buffer>

/** Only scripts, styles and images of this origin, none inline. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'", // Home Assistant shows a page in a frame, by its own origin
].join('; ')

/**
 * The pages of one folder: `app.get(...pages.assets)`, the files that they load under `/assets/<content hash>/`, and then
 * `app.get('/', pages.html('index.html'))`, which throws when there is no such page.
 *
 * Reads a folder of `.html`, `.css`, `.svg`, `.json` and browser `.ts`, makes JSON a module, strips the types,
 * compresses, and serves all from memory. Node's type stripping takes 17 MiB, so the result is kept below node_modules,
 * and the next process that opens the same files reads it there.
 *
 * Placeholders in HTML are `values`, `{head}`, which is head.html of the design system (lib/page/browser), and
 * `{assets}`, the hashed address: `{assets}/page/main.ts` is a file of the folder, `{assets}/lib/style.css` one of the
 * design system.
 * Modules import each other relatively, and the design system as `@tintype/lib/page/browser/…`.
 * @throws when a file cannot be read or is not erasable TypeScript, and when a page names an unknown value.
 */
export function openPages(folder: string, values: Values = {}) {
  const own = readFileSync(import.meta.filename, 'utf8')
  const files = [...read(folder, 'page'), ...read(`${import.meta.dirname}/browser`, 'lib')]
  const version = hashOf(own, ...files.flatMap(({ path, text }) => [path, text]))
  const loaded = files.filter(({ path }) => !path.endsWith('.html'))
  const assets = kept(folder, version, () =>
    loaded.map(({ path, text }) => [path, compress(compile(path, text))]),
  )
  return {
    assets: assetRoute(version, assets),
    html: (name: string) => {
      const page = files.find(({ path }) => path === `page/${name}`)
      if (!page) throw new Error(`there is no page "${name}"`)
      return htmlHandler(name, fillIn(name, page.text, { ...values, assets: `assets/${version}` }))
    },
  }
}

const cache = `${import.meta.dirname}/../../node_modules/.cache/pages`

/** Reads a folder's compiled assets from the cache, or makes and keeps them. An unwritable cache costs only time. */
function kept(folder: string, version: string, make: () => [string, Asset][]): Map<string, Asset> {
  const file = join(cache, basename(dirname(folder)))
  try {
    const { of, made } = deserialize(readFileSync(file))
    if (of === version) return new Map(made)
  } catch {}
  const made = make()
  try {
    mkdirSync(cache, { recursive: true })
    writeFileSync(`${file}.${process.pid}`, serialize({ of: version, made }))
    renameSync(`${file}.${process.pid}`, file)
  } catch {}
  return new Map(made)
}

function read(folder: string, as: string): { path: string; text: string }[] {
  const names = readdirSync(folder).filter(name => !/^\.|\.test\.ts$|~$/.test(name))
  return names
    .sort()
    .map(name => ({ path: `${as}/${name}`, text: readFileSync(`${folder}/${name}`, 'utf8') }))
}

/** One hash over all files. With one hash a file, relative imports would have to be rewritten. */
const hashOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 12)

/** Imports are relative, as all addresses of a page are: a proxy may serve it under a prefix. */
function compile(path: string, text: string): string {
  if (path.endsWith('.json')) return `export default ${text}`
  if (!path.endsWith('.ts')) return text
  return stripTypes(text)
    .replaceAll(/ with \{ type: 'json' \}/g, '')
    .replaceAll("from '@tintype/lib/page/browser/", "from '../lib/")
}

/** What the head of each page begins with. */
const head = readFileSync(`${import.meta.dirname}/browser/head.html`, 'utf8').trim()

const fillIn = (page: string, text: string, values: Values): string =>
  text.replace('{head}', head).replaceAll(/\{(\w+)\}/g, (_whole, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`${page} names {${name}}, which is not a known value`)
    return String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
  })

/** Node's own stripping, without its ExperimentalWarning; every other warning still shows. */
export function stripTypes(source: string): string {
  const emit = process.emitWarning
  process.emitWarning = ((warning: string | Error, ...rest: []) => {
    if (!String(warning).includes('stripTypeScriptTypes')) emit(warning, ...rest)
  }) as typeof process.emitWarning
  try {
    return stripTypeScriptTypes(source)
  } finally {
    process.emitWarning = emit
  }
}

const compress = (text: string): Asset => ({ gzip: gzipSync(text), identity: Buffer.from(text) })

/** A route and no router, which each request of another path would go through: 5 µs. */
const assetRoute = (current: string, assets: Map<string, Asset>) => {
  const serve: RequestHandler<Record<'version' | 'group' | 'file', string>> = (request, response, next) => {
    const { version, group, file } = request.params
    const asset = assets.get(`${group}/${file}`)
    if (!asset) return next()
    // During a release the page of one version may request files from the other. This version's files are sent, uncached.
    if (version === current) response.set('Cache-Control', 'public, max-age=31536000, immutable')
    send(request, response, file, asset)
  }
  return ['/assets/:version/:group/:file', serve] as const
}

function htmlHandler(name: string, html: string): RequestHandler {
  const asset = compress(html)
  const ETag = `W/"${hashOf(html)}"`
  return (request, response) => {
    response.set({
      // private: no shared cache may keep the cookie that web sends with its page. no-transform: the policy below refuses
      // the scripts that Cloudflare would add.
      'Cache-Control': 'private, no-cache, no-transform',
      'Content-Security-Policy': contentSecurityPolicy,
      'Referrer-Policy': 'no-referrer',
      ETag,
    })
    send(request, response, name, asset)
  }
}

/** Express answers 304 when the browser has the response's ETag. */
function send(request: Request, response: Response, name: string, asset: Asset): void {
  const encoding = request.acceptsEncodings('gzip') ? 'gzip' : 'identity'
  response.set('Vary', 'Accept-Encoding')
  if (encoding !== 'identity') response.set('Content-Encoding', encoding)
  response.type(extname(name).replace(/^\.(ts|json)$/, '.js')).send(asset[encoding])
}
