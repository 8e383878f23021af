import { type Person, person } from '../client.ts'

/** People who upload at a steady rate, wait for the answer and look at their thumbnail. */
export type Traffic = {
  /** Photos a second from now on. */
  rate: number
  /** The photos to upload, in turn. */
  images: readonly Buffer[]
  stop(): Promise<void>
}

/** Enough for the people of every drill, few enough for their pictures to fit into memory. */
const maxUnderWay = 60
const people = 6
/** How long a person waits for the answer of an upload, as the page does. */
const patienceSeconds = 30

/** Open model: a slow service gets as many photos. Failures are for the service's telemetry to report. */
export function startTraffic(address: string, images: readonly Buffer[], rate: number): Traffic {
  const crowd = Array.from({ length: people }, () => person(address))
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  const traffic: Traffic = { rate, images, stop }
  let sent = 0

  const next = () => {
    if (stopping.signal.aborted) return
    const someone = crowd[sent % people] as Person
    const image = traffic.images[sent % traffic.images.length] as Buffer
    sent++
    if (traffic.rate > 0 && underWay.size < maxUnderWay) {
      const visit = upload(someone, image, stopping.signal)
        .catch(() => {})
        .finally(() => underWay.delete(visit))
      underWay.add(visit)
    }
    timer = setTimeout(next, 1000 / (traffic.rate || 1))
  }
  let timer = setTimeout(next)

  async function stop(): Promise<void> {
    clearTimeout(timer)
    stopping.abort()
    await Promise.all(underWay)
  }
  return traffic
}

async function upload(someone: Person, image: Buffer, signal: AbortSignal): Promise<void> {
  // For any image, because the service reads the bytes.
  const headers = { 'Content-Type': 'image/jpeg', Prefer: `wait=${patienceSeconds}` }
  const body = new Uint8Array(image)
  const answer = await someone.request('/photos', { method: 'POST', headers, body, signal })
  const { links } = (await answer.json()) as { links?: { thumbnail?: string } }
  if (!answer.ok || !links?.thumbnail) return
  const thumbnail = await someone.request(links.thumbnail, { signal })
  await thumbnail.arrayBuffer()
}
