import { formats } from '@tintype/lib/photo/record.ts'
import { version } from '@tintype/lib/version.ts'
import { expect, test } from 'vitest'
import { createWebApp } from './app.ts'
import { openapi } from './openapi.ts'
import { startWeb } from './test/web.ts'

type Layer = { route?: { path: string; methods: Record<string, boolean> } }

test('every route of the app but the files of the page is in the document, and none else', async () => {
  const { web } = await startWeb()
  const { stack } = createWebApp(web).router as unknown as { stack: Layer[] }
  const routes = stack
    .filter(({ route }) => !route?.path.startsWith('/assets/'))
    .flatMap(({ route }) =>
      Object.keys(route?.methods ?? {})
        .filter(method => method !== '_all')
        .map(method => `${method} ${route?.path.replace(/:(\w+)/g, '{$1}')}`),
    )
  const told = Object.entries(openapi.paths).flatMap(([path, operations]) =>
    Object.keys(operations)
      .filter(name => name !== 'parameters')
      .map(method => `${method} ${path}`),
  )
  expect(told.toSorted()).toEqual(routes.toSorted())
})

test('the document is served, and its references lead somewhere', async () => {
  const { url } = await startWeb()
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as typeof openapi
  expect(document).toMatchObject({ openapi: '3.1.0', info: { version } })
  for (const [, path = ''] of JSON.stringify(document).matchAll(/"#\/([^"]+)"/g))
    expect(document).toHaveProperty(path.split('/'))
  expect(document.components.schemas.Photo).toHaveProperty('properties.format.enum', [...formats])
})

test('clients that are generated from the document find the prefix of a proxy, a name for each operation and the type of each value', () => {
  const operations = Object.values(openapi.paths).flatMap(operations =>
    Object.entries(operations).flatMap(([name, operation]) => (name === 'parameters' ? [] : operation)),
  ) as { operationId?: string }[]
  expect(new Set(operations.map(({ operationId }) => operationId ?? '')).size).toBe(operations.length)
  expect(new URL(openapi.servers[0]?.url ?? '/', 'https://example.org/tintype/openapi.json').pathname).toBe(
    '/tintype/',
  )
  for (const [value] of JSON.stringify(openapi).matchAll(/\{[^{}]*"(enum|const)":[^{}]*\}/g))
    expect(JSON.parse(value)).toHaveProperty('type')
})
