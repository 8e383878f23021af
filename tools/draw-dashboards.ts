import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { plainEnvironment } from '@tintype/lib/environment.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { chromium } from 'playwright-core'
import { allPanels, dashboardsOf } from '../dashboards/all.ts'
import { build, expressionOf } from '../dashboards/build.ts'
import { fill } from '../dashboards/promql.ts'
import type { DashboardSpec, PanelSpec } from '../dashboards/spec.ts'
import { readDirectory } from '../slo/directory.ts'
import { part } from './parts.ts'

const root = join(import.meta.dirname, '..')
const folder = join(root, '.parts', 'grafana-ui')
const packages = ['ui', 'data', 'schema'].map(name => `@grafana/${name}@13.2.2`)
const steps = 240
const layout =
  'body{margin:8px;font:13px Inter,sans-serif} h2{font-size:15px;margin:6px 0} button{color:inherit} .nothing{font-size:22px;padding:12px}'

const usage = `npm run draw [-- --prometheus URL] [--minutes N] [--out FOLDER]

Draws the dashboards from a real Prometheus' answers, by Grafana's own panel components. They are installed into
.parts/grafana-ui (420 MB) at the first run.
  --prometheus  default http://127.0.0.1:9090
  --minutes     how many minutes are drawn, up to now (default 60)
  --out         where the pictures go (default .tmp/dashboards)
Example: npm run draw -- --minutes 30
Exit status: 0 drawn, 2 bad arguments, or a part or Prometheus is missing.`

const options = {
  prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
  minutes: { type: 'string', default: '60' },
  out: { type: 'string', default: join(root, '.tmp', 'dashboards') },
} as const

/** Epoch seconds. */
type Range = { from: number; to: number }
type Answer = { metric: Record<string, string>; values: [seconds: number, value: string][] }

async function ask(
  spec: DashboardSpec,
  panel: PanelSpec,
  prometheus: string,
  { from, to }: Range,
): Promise<{ name: string; values: Answer['values'] }[]> {
  const step = Math.max(5, Math.round((to - from) / steps))
  const instant = panel.kind !== 'timeseries' && panel.kind !== 'strip'
  const answers = await Promise.all(
    panel.queries.map(async query => {
      const parameters = {
        query: fill(expressionOf(spec, query), { interval: '1m', ago: '5m' }),
        start: String(instant ? to : from),
        end: String(to),
        step: String(panel.lastDay ? 60 : step),
      }
      const answer = await fetch(`${prometheus}/api/v1/query_range?${new URLSearchParams(parameters)}`)
      const { data } = (await answer.json()) as { data: { result: Answer[] } }
      return data.result.map(({ metric, values }) => ({
        name: query.legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
        values,
      }))
    }),
  )
  return answers.flat()
}

function bundle(): { script: string; style: string } {
  if (!existsSync(join(folder, 'node_modules/.bin/esbuild'))) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    const more = ['react@18', 'react-dom@18', 'rxjs', 'esbuild']
    execFileSync('npm', ['install', '--legacy-peer-deps', ...packages, ...more], {
      cwd: folder,
      stdio: 'inherit',
    })
  }
  const out = join(folder, 'out.js')
  const flags = [
    '--bundle',
    '--minify',
    '--loader:.ttf=dataurl',
    '--loader:.svg=dataurl',
    '--log-level=error',
  ]
  const define = '--define:process.env.NODE_ENV="production"'
  execFileSync(
    join(folder, 'node_modules/.bin/esbuild'),
    [join(import.meta.dirname, 'draw/panels.js'), ...flags, define, `--outfile=${out}`],
    { cwd: folder, env: { ...process.env, NODE_PATH: join(folder, 'node_modules') }, stdio: 'inherit' },
  )
  const style = join(folder, 'out.css')
  return { script: readFileSync(out, 'utf8'), style: existsSync(style) ? readFileSync(style, 'utf8') : '' }
}

async function main(args: string[]): Promise<number> {
  const {
    values: { prometheus, minutes, out },
  } = readArguments(args, options)
  const to = Math.floor(Date.now() / 1000)
  const from = to - Number(minutes) * 60
  if (!(from < to)) throw new UsageError('--minutes must be a number above 0')
  const alive = await fetch(`${prometheus}/-/ready`).catch(() => undefined)
  if (!alive?.ok) throw new ExpectedError(`no Prometheus answers at ${prometheus}`)
  const executablePath = part('chromium')
  if (!executablePath) throw new ExpectedError('chromium is missing: npm run parts')
  mkdirSync(out, { recursive: true })
  const { script, style } = bundle()
  const browser = await chromium.launch({
    executablePath,
    env: plainEnvironment(process.env),
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
  for (const spec of dashboardsOf(readDirectory())) {
    const dashboard = build(spec)
    const panels = allPanels(spec)
    const answers = await Promise.all(panels.map(panel => ask(spec, panel, prometheus, { from, to })))
    for (const mode of ['light', 'dark']) {
      const page = await browser.newPage({ viewport: { width: 1264, height: 900 }, deviceScaleFactor: 1 })
      page.on('pageerror', error => console.error(`${spec.uid}: ${error.message}`))
      const drawn = JSON.stringify({ dashboard, answers, from, to, mode }).replaceAll('<', '\\u003c')
      const html = `<!doctype html><meta charset="utf-8"><style>${style}${layout}</style><div id="root"></div><script>window.drawn=${drawn}</script>`
      // Grafana's components use local storage, which only a page with an address has.
      await page.route('http://drawn.invalid/', route =>
        route.fulfill({ contentType: 'text/html', body: html }),
      )
      await page.goto('http://drawn.invalid/')
      await page.addScriptTag({ content: script })
      await page.locator('#root > div').waitFor()
      await page.waitForLoadState('networkidle')
      await page.screenshot({ path: join(out, `${spec.uid}-${mode}.png`), fullPage: true })
      await page.close()
    }
  }
  await browser.close()
  console.log(`drawn into ${out}`)
  return 0
}

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
