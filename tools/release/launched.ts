import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError, ExpectedError, messageOf } from '@tintype/lib/errors.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Config } from '@tintype/lib/variables.ts'
import { openControl } from '../control.ts'
import { type Build, backendOf, type Fleet } from '../fleet.ts'
import { part, remedy } from '../parts.ts'
import { type Fronting, openFront } from '../scaled/front.ts'
import type { Color } from '../scaled/haproxy.ts'

/** The state of the running service, for a release. */
export type Status = {
  serving: Color
  /** Where slo reads metrics; empty means its embedded recorder. */
  prometheusUrl: string
  /** The launcher's values of what its services and the command must agree on. An older launcher gives none. */
  environment?: { PROBE_TOKEN?: string | undefined; PROMETHEUS_HEADERS?: string | undefined }
  scrapeSeconds: number
  members: {
    name: string
    role: string
    color: Color
    version: string
    root: string
    pid: number | undefined
    deaths: number
    endpoints: Record<string, string>
  }[]
}

type Options = {
  fleet: Fleet
  config: Config
  log: Log
  socketFolder: string
  front: Fronting | undefined
}

const reachedMs = 1_000

const other = (color: Color): Color => (color === 'blue' ? 'green' : 'blue')

/**
 * The launcher's part of a release: starts and stops processes and sets HAProxy's share on request. When the command's
 * connection closes before `keep`, the old version gets all customers back and the new processes are stopped.
 */
export async function openReleases({ fleet, config, log, socketFolder, front: planned }: Options) {
  let front = planned
  let underWay = false
  const { members } = fleet
  const serving = (): Color => front?.serving() ?? 'blue'
  const of = (color: Color) =>
    [...members.values()].filter(each => each.color === color && isOfTwo(each.role))

  async function stopAll(color: Color): Promise<void> {
    // Waits until a request that HAProxy has just sent has arrived.
    await sleep(reachedMs)
    const names = of(color).map(({ service }) => service.name)
    const webs = names.filter(name => fleet.ready.get(name)?.webAdmin)
    await Promise.all(webs.map(fleet.stop))
    for (const name of webs) await front?.remove(color, name)
    await Promise.all(names.map(fleet.stop))
  }

  async function back(): Promise<void> {
    if (!underWay) return
    underWay = false
    await front?.share(serving() === 'green' ? 100 : 0, false)
    await stopAll(other(serving()))
  }

  /** HAProxy takes over the only web's port: both listen on it until the web has finished its requests. */
  async function putInFront(): Promise<Fronting> {
    const program = part('haproxy')
    const old = members.get('web')
    if (!program) throw new ExpectedError(`haproxy is missing: ${remedy(['haproxy'])}`)
    if (!old) throw new ExpectedError('no web runs')
    const behind = await fleet.twin('web', 'blue', old)
    const made = await openFront({
      program,
      config,
      socketFolder,
      port: Number(new URL(fleet.ready.get('web')?.web ?? '').port),
      webs: [backendOf('web-blue', behind)],
    })
    try {
      await fleet.start(made.service)
    } catch (error) {
      await fleet.stop('web-blue')
      throw error
    }
    await fleet.stop('web')
    return made
  }

  const actions = {
    status: async (): Promise<Status> => ({
      serving: serving(),
      prometheusUrl: config.PROMETHEUS_URL,
      environment: {
        PROBE_TOKEN: process.env.PROBE_TOKEN,
        PROMETHEUS_HEADERS: process.env.PROMETHEUS_HEADERS,
      },
      scrapeSeconds: config.SCRAPE_SECONDS,
      members: [...members.values()].map(({ service, supervised, ...member }) => ({
        ...member,
        name: service.name,
        pid: supervised.pid(),
        deaths: supervised.deaths(),
        endpoints: fleet.ready.get(service.name) ?? {},
      })),
    }),
    /** Puts HAProxy in front, unless it is there. */
    async front() {
      front ??= await putInFront()
    },
    /** Starts as many processes of the other version, converters first. The new webs have no customers yet. */
    async begin(build: Build) {
      if (!front) throw new Error('no HAProxy stands before the webs')
      underWay = true
      const color = other(serving())
      const roles = [...new Set(of(serving()).map(({ role }) => role))]
      for (const role of roles.toSorted()) if (!role.startsWith('web')) await fleet.twin(role, color, build)
      for (const role of roles.filter(each => each.startsWith('web'))) {
        const endpoints = await fleet.twin(role, color, build)
        await front.add(color, backendOf(`${role}-${color}`, endpoints))
      }
    },
    /** Sets the new version's percentage of customers. */
    async share({ percent }: { percent: number }) {
      await front?.share(serving() === 'blue' ? percent : 100 - percent, false)
      log.info('release.share', { percent })
    },
    back,
    /**
     * Gives everybody to the new version and ends the old one: first its webs, after their requests, then converters.
     * Resolves with what failed after everybody had moved. The old log server or slo then runs on.
     */
    async keep(build: Build): Promise<string[]> {
      if (!underWay) throw new Error('no release is under way')
      const old = serving()
      await front?.share(old === 'blue' ? 100 : 0, true)
      underWay = false
      const failed: string[] = []
      for (const step of [
        () => stopAll(old),
        () => fleet.replace('logs', build),
        () => fleet.replace('slo', build),
      ])
        await step().catch(error => failed.push(messageOf(error)))
      return failed
    },
  }
  await openControl(
    join(socketFolder, 'launcher.sock'),
    actions,
    async () => {
      if (underWay) log.warn('release.abandoned', { why: 'its command has ended' })
      await back()
    },
    error => log.error('release.not-undone', { error: describeError(error) }),
  )
}

/** The processes of the new version. */
export const broughtBy = ({ members, serving }: Status): Status['members'] =>
  members.filter(({ role, color }) => color !== serving && isOfTwo(role))

/** Whether a role runs in two versions. logs and slo run once; databases have no version. */
const isOfTwo = (role: string): boolean => /^(web|converter)/.test(role)
