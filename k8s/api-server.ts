import { execFile, spawn } from 'node:child_process'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { plainEnvironment } from '@tintype/lib/environment.ts'
import { freePort } from '../tools/free-port.ts'

/** A start takes 8 s on an idle machine and a minute on a busy one. */
const readyMs = 180_000

export type Answer = { ok: boolean; text: string }
export type ApiServer = {
  /** Runs kubectl against this server and no other. */
  kubectl(args: readonly string[], input?: unknown): Promise<Answer>
  stop(): Promise<void>
}

/**
 * Starts an API server with its etcd in a temporary folder and on free ports, until `stop`. It has no nodes and no
 * controllers: it accepts or refuses objects as a cluster does.
 * @throws when a program ends or the server does not become ready.
 */
export async function startApiServer(
  programs: Readonly<Record<'etcd' | 'kube-apiserver' | 'kubectl', string>>,
): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tintype-k8s-'))
  const [clients, peers, secure] = await Promise.all([freePort(), freePort(), freePort()])
  const [key, tokens, kubeconfig] = writeFiles(folder, `https://127.0.0.1:${secure}`)
  const etcd = `http://127.0.0.1:${clients}`
  const started = [
    start(programs.etcd, {
      'data-dir': join(folder, 'etcd'),
      'listen-client-urls': etcd,
      'advertise-client-urls': etcd,
      'listen-peer-urls': `http://127.0.0.1:${peers}`,
    }),
    start(programs['kube-apiserver'], {
      'etcd-servers': etcd,
      'bind-address': '127.0.0.1',
      'advertise-address': '127.0.0.1',
      'secure-port': secure,
      'cert-dir': folder,
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': key,
      'service-account-signing-key-file': key,
      'token-auth-file': tokens,
      'authorization-mode': 'RBAC',
      'service-cluster-ip-range': '10.0.0.0/24',
      'endpoint-reconciler-type': 'none',
      // etcd 3.5.1 does not report the progress of a watch.
      'feature-gates': 'WatchList=false',
    }),
  ]
  const kubectl: ApiServer['kubectl'] = (args, input = '') =>
    run(programs.kubectl, [`--kubeconfig=${kubeconfig}`, ...args], input)
  async function stop() {
    await Promise.all(started.map(each => each.stop()))
    clean()
    process.off('exit', clean)
  }
  /** Nothing is kept, so the programs need no graceful stop. */
  function clean() {
    for (const { child } of started) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.on('exit', clean)
  const ended = Promise.race(started.map(each => each.ended))
  const problem = await Promise.race([ended, whyNot(kubectl, ['get', '--raw=/readyz'])])
  if (!problem) return { kubectl, stop }
  await stop()
  throw new Error(problem)
}

/** Writes the server's key and tokens, with one administrator, and kubectl's configuration for this server only. */
function writeFiles(folder: string, server: string): [key: string, tokens: string, kubeconfig: string] {
  const token = randomUUID()
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const config = {
    clusters: [{ name: 'here', cluster: { server, 'certificate-authority': join(folder, 'apiserver.crt') } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'admin' } }],
    'current-context': 'here',
  }
  const write = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 })
    return join(folder, name)
  }
  return [
    write('accounts.key', privateKey.export({ type: 'pkcs1', format: 'pem' })),
    write('tokens.csv', `${token},admin,1,"system:masters"\n`),
    write('kubeconfig', JSON.stringify(config)),
  ]
}

function start(program: string, flags: Record<string, string | number>) {
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  const child = spawn(program, args, {
    env: plainEnvironment(process.env),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', chunk => {
    said = `${said}${chunk}`.slice(-2000)
  })
  const exited = once(child, 'exit')
  return {
    child,
    ended: exited.then(() => `${program} ended:\n${said}`),
    async stop() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

function run(program: string, args: readonly string[], input: unknown): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const child = execFile(program, args, (error, stdout, stderr) =>
    resolve({ ok: !error, text: `${stdout}${stderr}`.trim() }),
  )
  child.stdin?.end(typeof input === 'string' ? input : JSON.stringify(input))
  return promise
}

/** Repeats a command until it succeeds. Returns its last error at the timeout. */
export async function whyNot(kubectl: ApiServer['kubectl'], args: string[]): Promise<string | undefined> {
  let last = ''
  for (const deadline = performance.now() + readyMs; performance.now() < deadline; await sleep(200)) {
    const { ok, text } = await kubectl(args)
    if (ok) return undefined
    last = text
  }
  return `the API server is not ready: ${last}`
}
