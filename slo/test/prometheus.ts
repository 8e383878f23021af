import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from '../../test/support.ts'
import { freePort } from '../../tools/free-port.ts'
import type { SimulatedSeries } from './simulate.ts'

export type RunningPrometheus = { url: string; pid: number; stop(): Promise<void> }

/** Starts a real Prometheus with these samples and without targets. */
export async function startPrometheus(
  parts: { prometheus: string; promtool: string },
  folder: string,
  series: readonly SimulatedSeries[],
): Promise<RunningPrometheus> {
  const [metrics, data, config] = ['metrics.txt', 'data', 'prometheus.yml'].map(name =>
    join(folder, name),
  ) as [string, string, string]
  await writeFile(metrics, openMetrics(series))
  // With blocks of two hours promtool would read the whole file for each.
  await promisify(execFile)(
    parts.promtool,
    ['tsdb', 'create-blocks-from', 'openmetrics', '--max-block-duration=768h', metrics, data],
    { maxBuffer: 2 ** 26 },
  ).catch(() =>
    promisify(execFile)(parts.promtool, ['tsdb', 'create-blocks-from', 'openmetrics', metrics, data], {
      maxBuffer: 2 ** 26,
    }),
  )
  await writeFile(config, 'global: {}\n')
  const port = await freePort()
  const child = spawn(
    parts.prometheus,
    [
      `--config.file=${config}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
    ],
    { stdio: 'ignore' },
  )
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  const ready = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(ready, { what: 'Prometheus’ readiness' })
  return {
    url,
    pid: child.pid as number,
    async stop() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** The samples as OpenMetrics text with times, from which promtool makes blocks. */
function openMetrics(series: readonly SimulatedSeries[]): string {
  const lines = [...Map.groupBy(series, ({ metric }) => metric)].flatMap(([metric, each]) => [
    `# TYPE ${metric.replace(/_total$/, '')} counter`,
    ...each.flatMap(({ labels, samples }) => {
      const text = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
      return samples.map(({ timeMs, value }) => `${metric}{${text}} ${number(value)} ${timeMs / 1000}`)
    }),
  ])
  return `${lines.join('\n')}\n# EOF\n`
}

const number = (value: number): string =>
  Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : 'NaN'
