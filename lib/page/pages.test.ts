import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { basename, dirname } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { listen } from '../http/listen.ts'
import { plainApp } from '../http.ts'
import { openPages } from './pages.ts'

async function serve() {
  const folder = await temporaryFolder()
  await writeFile(
    `${folder}/index.html`,
    '<p>{limit}</p><link rel="stylesheet" href="{assets}/lib/style.css"><script type="module" src="{assets}/page/main.ts"></script>',
  )
  await writeFile(
    `${folder}/main.ts`,
    "import { h } from '@tintype/lib/page/browser/dom.ts'\nimport './other.ts'\nimport texts from './texts.json' with { type: 'json' }\nexport const two = texts\nexport const one: number = 1",
  )
  await writeFile(`${folder}/other.ts`, 'export type Nothing = string')
  await writeFile(`${folder}/texts.json`, '{ "hello": "Hello" }')
  const pages = openPages(folder, { limit: '5 < 6' })
  const app = plainApp()
    .get(...pages.assets)
    .get('/', pages.html('index.html'))
  const { url, close } = await listen(app, '127.0.0.1', 0)
  onTestFinished(() => close(0))
  const html = await (await fetch(url)).text()
  const main = new URL(/src="([^"]+)"/.exec(html)?.[1] ?? '', url).href
  return { url, html, main, pages }
}

/** fetch decodes by itself; the raw bytes say what was really sent. */
const encoded = async (url: string, encoding: string) => {
  return new Promise<{ headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
    http
      .get(url, { headers: { 'Accept-Encoding': encoding } }, async response => {
        resolve({ headers: response.headers, body: Buffer.concat(await response.toArray()) })
      })
      .on('error', reject)
  })
}

test('a page names its files by a hash of their contents, and they are kept for ever', async () => {
  const { html, main } = await serve()
  expect(html).toMatch(/href="assets\/[\w-]{12}\/lib\/style\.css"/)
  const { headers } = await fetch(main)
  expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  expect(headers.get('content-type')).toBe('text/javascript; charset=utf-8')
})

test('browser TypeScript is served as JavaScript whose imports resolve', async () => {
  const { main, url } = await serve()
  const script = await (await fetch(main)).text()
  expect(script).not.toContain(': number')
  const imports = [...script.matchAll(/import .*?'([^']+)'/g)].map(([, name]) => new URL(name ?? '', main))
  expect(imports.map(({ pathname }) => pathname.split('/').slice(3).join('/'))).toEqual([
    'lib/dom.ts',
    'page/other.ts',
    'page/texts.json',
  ])
  for (const address of imports) expect((await fetch(address)).status).toBe(200)
  expect(new URL(main).origin).toBe(url)
})

test('JSON is served as a module, which every browser can import', async () => {
  const { main } = await serve()
  expect(await (await fetch(main)).text()).not.toContain('with {')
  const texts = await fetch(new URL('texts.json', main))
  expect(texts.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  expect(await texts.text()).toBe('export default { "hello": "Hello" }')
})

test('a page allows nothing inline and nothing from elsewhere, and is asked for again each time', async () => {
  const { url } = await serve()
  const { headers } = await fetch(url)
  expect(headers.get('content-security-policy')).toContain(
    "default-src 'none'; script-src 'self'; style-src 'self'",
  )
  expect(headers.get('content-security-policy')).not.toContain('unsafe')
  // A dashboard that serves the page by its own origin may show it in a frame.
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'self'")
  expect(headers.get('cache-control')).toBe('private, no-cache, no-transform')
  const again = await fetch(url, {
    headers: { 'If-None-Match': headers.get('etag') ?? '', 'Cache-Control': 'max-age=0' },
  })
  expect(again.status).toBe(304)
})

test('files are sent compressed as the browser likes, with the same content', async () => {
  const { main } = await serve()
  const plain = await encoded(main, 'identity')
  const gz = await encoded(main, 'br, gzip')
  expect(gz.headers['content-encoding']).toBe('gzip')
  expect(gz.headers.vary).toBe('Accept-Encoding')
  expect(gunzipSync(gz.body)).toEqual(plain.body)
  expect(plain.headers['content-encoding']).toBeUndefined()
})

test('a page of another version still finds its files, which are then not kept', async () => {
  const { main } = await serve()
  const other = await fetch(main.replace(/assets\/[\w-]{12}/, 'assets/000000000000'))
  expect(other.status).toBe(200)
  expect(other.headers.get('cache-control')).toBe('no-store')
})

test('what the HTML names in braces is filled in as text, and an unknown name is an error at start', async () => {
  const { html } = await serve()
  expect(html).toContain('<p>5 &lt; 6</p>')
  const folder = await temporaryFolder()
  await writeFile(`${folder}/index.html`, '{absent}')
  expect(() => openPages(folder).html('index.html')).toThrow('names {absent}')
})

test('only files of the page are served, and a page that does not exist is an error at start', async () => {
  const { main, pages } = await serve()
  expect((await fetch(main.replace('main.ts', 'absent.ts'))).status).toBe(404)
  expect((await fetch(main.replace('main.ts', '..%2f..%2fpackage.json'))).status).toBe(404)
  expect(() => pages.html('absent.html')).toThrow('there is no page "absent.html"')
})

test('a folder’s files are kept compiled for the next process, the newest ones only', async () => {
  const folder = `${await temporaryFolder()}/page`
  await mkdir(folder)
  for (const text of ['export const one = 1', 'export const two = 2']) {
    await writeFile(`${folder}/main.ts`, text)
    openPages(folder)
  }
  const cache = `${import.meta.dirname}/../../node_modules/.cache/pages`
  const own = basename(dirname(folder))
  const kept = (await readdir(cache)).filter(name => name.startsWith(own))
  await rm(`${cache}/${own}`)
  expect(kept).toEqual([own])
})

test('stripping types prints no warning of its own and hides no other', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  onTestFinished(() => warn.mockRestore())
  await serve()
  process.emitWarning('of something else')
  expect(warn.mock.calls.map(([warning]) => String(warning))).toEqual(['of something else'])
})

test('every text colour is readable on every surface, light and dark', async () => {
  const style = await readFile(`${import.meta.dirname}/browser/style.css`, 'utf8')
  const colours: Record<string, string[]> = {}
  for (const [, name = '', colour = ''] of style.matchAll(/--([\w-]+): (#\w{6});/g))
    colours[name] = [...(colours[name] ?? []), colour]
  expect(Object.keys(colours).filter(name => colours[name]?.length !== 2)).toEqual([])
  for (const text of ['ink', 'soft', 'late', 'broken'])
    for (const surface of ['plate', 'sheet', 'raised'])
      for (const scheme of [0, 1] as const)
        expect(
          contrast(colours[text]?.[scheme] ?? '', colours[surface]?.[scheme] ?? ''),
          `--${text} on --${surface}, ${scheme === 0 ? 'light' : 'dark'}`,
        ).toBeGreaterThanOrEqual(4.5)
})

/** WCAG 2.2, relative luminance and contrast ratio. */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map(at => {
      const c = Number.parseInt(colour.slice(at, at + 2), 16) / 255
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}
