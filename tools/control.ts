import { once } from 'node:events'
import { statSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describeError } from '@tintype/lib/errors.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { processName } from '@tintype/lib/process-name.ts'

/** Actions of the launcher for another process's command. Each takes JSON and resolves with JSON. */
export type Actions = Record<string, (request: never) => Promise<unknown>>

/**
 * Opens the launcher's side: one JSON object `{do, …}` a line, answered by `{answer}` or `{error}`. `left` is called
 * when a connection closes that has sent an action other than `status`, also when its process was killed.
 */
export async function openControl(
  file: string,
  actions: Actions,
  left: () => Promise<void>,
  onError: (error: unknown) => void,
) {
  let holder: Socket | undefined
  const server = createServer(socket => {
    // Without a listener an error of the connection would end the launcher and the service.
    socket.on('error', () => {})
    socket.on('close', async () => {
      if (socket !== holder) return
      await turn
      await left().catch(onError)
      holder = undefined
    })
    let turn = Promise.resolve()
    const lines = createInterface({ input: socket })
    lines.on('error', () => {})
    lines.on('line', line => {
      turn = turn.then(async () => {
        const reply = await answer(socket, line).catch(error => ({ error: describeError(error) }))
        if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`)
      })
    })
  })
  async function answer(socket: Socket, line: string) {
    const { do: name, ...request } = JSON.parse(line) as { do: string }
    const action = actions[name]
    if (!action) throw new Error(`there is no action ${name}`)
    if (name !== 'status') holder ??= socket
    if (name !== 'status' && holder !== socket) throw new Error('another release is under way')
    return { answer: (await action(request as never)) ?? null }
  }
  server.listen(file)
  await once(server, 'listening')
}

export const launcherFile = (dataDir: string): string => join(dataDir, 'launcher.json')

/** The socket of the folder's launcher, which runs or was killed; undefined without one, and in a copy of its folder. */
export function socketIn(dataDir: string): string | undefined {
  const launcher = readJsonFile<{ socket: string; ino: number }>(launcherFile(dataDir), {
    socket: '',
    ino: 0,
  })
  return launcher?.ino === statSync(dataDir, { throwIfNoEntry: false })?.ino ? launcher?.socket : undefined
}

/** Whether the folder's last launcher was killed. Its services may still be finishing their work. */
export function wasKilled(dataDir: string): boolean {
  const launcher = readJsonFile<{ pid: number }>(launcherFile(dataDir), { pid: 0 })
  return launcher !== undefined && processName(launcher.pid) === undefined
}

export type Controlled = {
  /** @throws Error with the launcher's message. */
  ask<T>(action: string, request?: object): Promise<T>
  close(): void
}

/** Opens the command's side. @throws when no launcher listens there. */
export async function control(file: string): Promise<Controlled> {
  const socket = connect(file)
  await once(socket, 'connect')
  const waiting: PromiseWithResolvers<unknown>[] = []
  const onEnd = () => {
    const ended = new Error('the launcher has ended; npm start or npm run scaled starts it again')
    for (const { reject } of waiting.splice(0)) reject(ended)
  }
  socket.on('error', () => {}).on('close', onEnd)
  createInterface({ input: socket }).on('line', line => {
    const { answer, error } = JSON.parse(line)
    const next = waiting.shift()
    if (error) next?.reject(new Error(error))
    else next?.resolve(answer)
  })
  return {
    ask<T>(action: string, request = {}) {
      const answer = Promise.withResolvers<unknown>()
      waiting.push(answer)
      socket.write(`${JSON.stringify({ do: action, ...request })}\n`, error => error && onEnd())
      return answer.promise as Promise<T>
    },
    close: () => void socket.destroy(),
  }
}
