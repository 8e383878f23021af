import { expect, onTestFinished, test } from 'vitest'
import { person } from './client.ts'
import { photo } from './images.ts'
import { journey } from './journey.ts'
import { startPostgres } from './postgres.ts'
import { startTintype } from './service.ts'
import { describeWithParts, temporaryFolder, until } from './support.ts'

describeWithParts('the service with its queue in PostgreSQL', ['postgres'], ({ postgres }) => {
  // scaled.system.test.ts walks the journey on PostgreSQL, lib/queue/postgres-away.test.ts kills it.
  test.runIf(process.env.TEST_FULL)(
    'serves a journey; refuses at once while the server is away; goes on at its return, with nothing lost',
    async () => {
      const server = await startPostgres(postgres)
      onTestFinished(server.stop)
      const tintype = await startTintype(await temporaryFolder(), { QUEUE_URL: server.newUrl() })
      onTestFinished(async () => void (await tintype.stop()))
      await journey(tintype.address, undefined, true)

      const someone = person(tintype.address)
      const image = await photo(400, 300, 1)
      const accept = async (): Promise<string> => {
        const answer = await someone.upload(image)
        expect(answer.status).toBe(202)
        return ((await answer.json()) as { id: string }).id
      }
      const accepted = [await accept(), await accept()]
      const services = (['web', 'converter'] as const).map(name => tintype.process(name)?.pid)
      await server.kill()
      const readiness = async () => {
        const answer = await fetch(`${tintype.endpoints.webAdmin}/readyz`)
        return { status: answer.status, body: await answer.json() }
      }
      const whileAway = { ready: true, dependencies: { queue: 'away', storage: 'ok' } }
      expect(await readiness()).toEqual({ status: 200, body: whileAway })
      const took: number[] = []
      for (let n = 0; n < 20; n++) {
        const start = performance.now()
        const answer = await (n % 2 ? someone.upload(image) : someone.request(`/photos/${accepted[0]}`))
        took.push(performance.now() - start)
        expect([answer.status, Number(answer.headers.get('retry-after'))]).toEqual([503, n % 2 ? 10 : 5])
        await answer.body?.cancel()
      }
      // The fastest: a machine busy with other tests delays many, and what waits for the server delays each.
      expect(Math.min(...took)).toBeLessThan(1_000)

      await server.start()
      await until(async () => {
        const answer = await someone.upload(image)
        if (answer.status === 202) accepted.push(((await answer.json()) as { id: string }).id)
        else await answer.body?.cancel()
        return answer.status === 202
      })
      expect(await readiness()).toMatchObject({ body: { dependencies: { queue: 'ok' } } })
      for (const id of accepted) expect((await someone.settled(id)).state).toBe('ready')
      expect(
        (['web', 'converter'] as const).map(name => tintype.process(name)?.pid),
        'none had to be started again',
      ).toEqual(services)
      expect(tintype.stderr()).not.toContain('Warning')
    },
  )
})
