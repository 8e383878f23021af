import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Service } from '../supervise.ts'

/** One web: where it serves, and where it says whether it is ready. */
export type Backend = { web: string; admin: string }
export type Front = { host: string; port: number; adminPort: number }

const problem = JSON.stringify({
  type: '/problems/unavailable',
  title: 'Unavailable',
  status: 503,
  detail: 'No web is ready; try again in a few seconds.',
})

function serverLine({ web, admin }: Backend, n: number): string {
  const [serves, checked] = [new URL(web), new URL(admin)]
  const elsewhere = checked.hostname === serves.hostname ? '' : `addr ${checked.hostname} `
  return `  server web-${n} ${serves.host} check ${elsewhere}port ${checked.port}`
}

/** Its times are longer than those of web, so that web decides (lib/limits.ts). */
export const haproxyConfig = (front: Front, webs: readonly Backend[], graceSeconds: number): string => `
global
  maxconn 8000
  hard-stop-after ${graceSeconds}s
  # Web answers headers over 16 KiB itself.
  tune.bufsize 32768
defaults
  mode http
  timeout connect 2s
  timeout client 90s
  timeout server 90s
  timeout check 3s
  timeout http-request 60s
  timeout http-keep-alive 60s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  http-error status 503 content-type application/problem+json string '${problem}' hdr Retry-After 5
frontend public
  bind ${front.host}:${front.port}
  option forwardfor
  # A request that a web may have begun is sent to another one only when it changes nothing.
  http-request disable-l7-retry unless { method GET HEAD }
  default_backend webs
backend webs
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1
${webs.map(serverLine).join('\n')}
frontend admin
  bind 127.0.0.1:${front.adminPort}
  monitor-uri /livez
  http-request use-service prometheus-exporter if { path /metrics }
`

/** HAProxy in front of the webs. */
export function haproxy(
  program: string,
  folder: string,
  front: Front,
  webs: readonly Backend[],
  graceSeconds: number,
): Service {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'haproxy.cfg')
  writeFileSync(file, haproxyConfig(front, webs, graceSeconds))
  const here = front.host.replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]')
  const endpoints = {
    web: `http://${here}:${front.port}`,
    haproxyAdmin: `http://127.0.0.1:${front.adminPort}`,
  }
  return {
    name: 'haproxy',
    program,
    args: ['-db', '-f', file],
    folder,
    // It lets requests end.
    stopSignal: 'SIGUSR1',
    answers: () =>
      fetch(`${endpoints.haproxyAdmin}/livez`).then(
        ({ ok }) => (ok ? endpoints : undefined),
        () => undefined,
      ),
  }
}
