/** A web process: its public address and that of its /readyz. */
export type Backend = { name: string; web: string; admin: string }
export type Front = { host: string; port: number; adminPort: number }
/** The two versions during a release. Otherwise all web processes have one colour. */
export const colors = ['blue', 'green'] as const
export type Color = (typeof colors)[number]
/** The file with green's share: the percentage of people who go there. In HAProxy's folder, whose path may have spaces. */
export const shareFile = 'share.map'

const problem = JSON.stringify({
  type: '/problems/unavailable',
  title: 'Service Unavailable',
  status: 503,
  detail: 'No web is ready; try again in a few seconds.',
})

/** A server's line: how HAProxy reaches a web process and its /readyz. */
export function serverOf({ web, admin }: Backend): string {
  const [serves, checked] = [new URL(web), new URL(admin)]
  const elsewhere = checked.hostname === serves.hostname ? '' : `addr ${checked.hostname} `
  return `${serves.host} check ${elsewhere}port ${checked.port}`
}

export const checks = 'inter 500ms fall 2 rise 1'

/**
 * A person has a number from 0 to 99: from the cookie, else computed from the session, else random. People below the
 * share go to green. The number is kept, so that a person changes the version once, when the share passes it.
 */
const choice = `
  acl numbered req.cook(tintype_number) -m reg ^[0-9]{1,2}$
  acl known req.cook(tintype_session) -m found
  http-request set-var(txn.share) str(green),map_str_int(${shareFile},0)
  http-request set-var(txn.number) req.cook(tintype_number) if numbered
  http-request set-var(txn.number) req.cook(tintype_session),djb2(1),mod(100) if !numbered known
  http-request set-var(txn.number) rand(100) if !numbered !known
  http-request set-var(txn.new) bool(true) if !numbered
  http-response add-header Set-Cookie "tintype_number=%[var(txn.number)]; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax" if { var(txn.new) -m bool } { var(txn.share) -m int 1:99 } !{ res.hdr(cache-control) -m sub immutable }
  http-response set-header Tintype-Served-By %b/%s
  acl for-green var(txn.number),sub(txn.share) lt 0
  use_backend green if { var(txn.share) -m int 100 }
  use_backend green if for-green { nbsrv(green) gt 0 }
  # The customers of a version whose webs are all down go to the other version, if that has customers.
  use_backend green if { nbsrv(blue) eq 0 } { var(txn.share) -m int gt 0 }`

const backend = (name: string, webs: readonly Backend[], more = ''): string => `backend ${name}
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server ${checks}${more}
${webs.map(each => `  server ${each.name} ${serverOf(each)}\n`).join('')}`

/**
 * Without this section HAProxy resolves a name only at its start, and ends when it fails. A new container has another
 * address.
 */
const names = `
resolvers names
  parse-resolv-conf`

/**
 * HAProxy's configuration. Its timeouts are longer than web's, so that web's apply (lib/limits.ts). Without `socket`,
 * which is for commands, it is the configuration for containers, whose web processes have names.
 */
export const haproxyConfig = (
  front: Front,
  webs: Record<Color, readonly Backend[]>,
  graceSeconds: number,
  socket?: string,
): string => `
global
  # Otherwise HAProxy does not start where it may open fewer than 16,017 files, as the common 4,096.
  no strict-limits
  maxconn 8000${socket ? `\n  stats socket "${socket}" mode 600 level admin` : ''}
  hard-stop-after ${graceSeconds}s
  # Web answers headers over 16 KiB itself.
  tune.bufsize 32768${socket ? '' : names}
defaults
  mode http
  timeout connect 2s
  timeout client 90s
  timeout server 90s
  timeout check 3s
  timeout http-request 60s
  # Longer than the 60 s of common load balancers and of nginx, which else send a request on a connection that is being closed.
  timeout http-keep-alive 75s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  http-error status 503 content-type application/problem+json string '${problem}' hdr Retry-After 5
frontend public
  bind ${front.host}:${front.port}
  option forwardfor
  # A request that a web may have begun is repeated at another one only when it changes nothing.
  http-request disable-l7-retry unless { method GET HEAD }
${socket ? choice : ''}
  default_backend blue
${backend('blue', webs.blue, socket ? '' : ' resolvers names init-addr last,libc,none')}${socket ? backend('green', webs.green) : ''}frontend admin
  bind 127.0.0.1:${front.adminPort}
  monitor-uri /livez
  http-request use-service prometheus-exporter if { path /metrics }
`
