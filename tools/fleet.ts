import type { Backend, Color } from './scaled/haproxy.ts'
import type { Endpoints, Service } from './service-types.ts'
import type { Hooks, Supervised } from './supervise.ts'
import { supervise } from './supervise.ts'

/** A process of the launcher. A web or converter may run twice, once for each version. */
export type Member = {
  /** Its name in the plan, such as `web` or `converter-3`. A release's process has the colour appended to its name. */
  role: string
  color: Color
  version: string
  root: string
  service: Service
  supervised: Supervised
}

/** The checkout from which a process is started, and its version. */
export type Build = { root: string; version: string }

export type Fleet = ReturnType<typeof openFleet>

/** All processes of a launcher, by name. `changed` is called when a process becomes ready or has ended. */
export function openFleet(hooks: Omit<Hooks, 'onReady'>, first: Build, changed: () => void) {
  const members = new Map<string, Member>()
  const ready = new Map<string, Endpoints>()
  const withReady: Hooks = {
    ...hooks,
    onReady(endpoints, { name }) {
      ready.set(name, endpoints)
      changed()
    },
  }

  async function start(service: Service, as: Pick<Member, 'role' | 'color'> & Build): Promise<Endpoints> {
    const supervised = supervise(service, withReady)
    members.set(service.name, { ...as, service, supervised })
    try {
      await supervised.ready
    } catch (error) {
      members.delete(service.name)
      throw error
    }
    return ready.get(service.name) ?? {}
  }

  async function stop(name: string): Promise<void> {
    const member = members.get(name)
    if (!member) return
    // Before the process ends; otherwise slo would log a failed scrape.
    ready.delete(name)
    changed()
    await member.supervised.stop()
    members.delete(name)
  }

  return {
    members,
    ready,
    start: (service: Service) => start(service, { role: service.name, color: 'blue', ...first }),
    stop,

    /** Starts a second process of a role with another build or colour, on free ports. */
    twin(role: string, color: Color, build: Build): Promise<Endpoints> {
      const like = [...members.values()].find(each => each.role === role && each.color !== color)
      const of = like ?? members.get(role)
      if (!of || !('script' in of.service)) throw new Error(`no process ${role} is running`)
      const name = `${role}-${color}`
      const instance = `${(of.service.environment?.INSTANCE ?? '0').replace(/-(blue|green)$/, '')}-${color}`
      const environment = {
        ...of.service.environment,
        // Behind HAProxy, so that it is not reachable from outside.
        HOST: '127.0.0.1',
        INSTANCE: instance,
        VERSION: build.version,
        WEB_PORT: '0',
        WEB_ADMIN_PORT: '0',
        CONVERTER_ADMIN_PORT: '0',
      }
      return start({ ...of.service, name, root: build.root, environment }, { role, color, ...build })
    },

    /** Replaces a role's only process by another build on the same ports. The old build returns if that fails. */
    async replace(role: string, build: Build): Promise<void> {
      const old = members.get(role)
      if (!old || !('script' in old.service)) return
      const { service } = old
      const asNow = { ...service.environment, VERSION: build.version, ...hooks.environment(service) }
      await old.supervised.stop()
      try {
        const environment = { ...service.environment, VERSION: build.version }
        await start({ ...service, root: build.root, environment }, { ...old, ...build })
      } catch (error) {
        await start({ ...service, environment: { ...asNow, VERSION: old.version } }, old)
        throw error
      }
    },

    kill(): void {
      for (const { supervised } of members.values()) supervised.kill()
    },
  }
}

/** A web process of the fleet, as a backend of HAProxy. */
export const backendOf = (name: string, { web = '', webAdmin = '' }: Endpoints): Backend => ({
  name,
  web,
  admin: webAdmin,
})
