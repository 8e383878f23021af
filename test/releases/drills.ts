import type { Edit } from '../faults/inject/release.ts'

/** A version and how its release must end; `named`: what the release must say of a bad one. */
export type Drill = { name: string; edits: readonly Edit[]; named?: RegExp }

const attempt = 'services/converter/attempt.ts'
const encoded = '    const encodedAt = Math.max(begunAt, tools.queue.now())\n'

/** Fails one photo in `oneIn`, the same ones at each attempt. */
const fails = (oneIn: number): Edit => [
  attempt,
  '    const answered = ',
  `    const answered = Number.parseInt(job.photo.slice(-2), 32) % ${oneIn} === 0
      ? ({ outcome: 'crash', error: 'a bad release' } as never) : `,
]

export const drills: readonly Drill[] = [
  {
    name: 'does not start',
    edits: [
      [
        'services/converter/main.ts',
        '  async (tools, config) => {\n',
        "  async (tools, config) => {\n    if (config) throw new Error('a bad release')\n",
      ],
    ],
    named: /does not start: converter-green/,
  },
  {
    name: 'wrong pixels',
    edits: [
      [
        'services/converter/convert.ts',
        'async function encode(image: Sharp, size: Size): Promise<Thumbnail> {\n',
        'async function encode(image: Sharp, size: Size): Promise<Thumbnail> {\n  image.negate()\n',
      ],
    ],
    named: /\[converter, stage convert\]/,
  },
  {
    name: 'metrics away',
    edits: [
      [
        'lib/http/admin.ts',
        "app.get('/metrics', async (request, response) => {\n",
        "app.get('/metrics', async (request, response) => {\n    if (request) return void response.status(500).end()\n",
      ],
    ],
    named: /metrics of .*(converter|web)-green/,
  },
  {
    name: 'converts twice as slowly',
    edits: [
      [
        attempt,
        encoded,
        `    await new Promise(done => setTimeout(done, tools.queue.now() - begunAt))\n${encoded}`,
      ],
    ],
    named: /time to convert.*\[converter, stage convert\]/,
  },
  { name: 'fails 2 % of photos', edits: [fails(50)], named: /\[converter, stage convert\]/ },
  {
    name: 'leaks memory',
    edits: [
      [
        attempt,
        encoded,
        `${encoded}    ;((globalThis as never as { kept: Buffer[] }).kept ??= []).push(Buffer.alloc(4e6, 1))\n`,
      ],
    ],
    named: /memory of converter.*\[converter, stage memory\]/,
  },
  {
    name: 'bad web, good converter',
    edits: [
      [
        'services/web/app.ts',
        "app.post('/photos', ",
        `app.post('/photos', (request, _response, next) => {
    const isBad = Number(request.get('content-length')) > 100_000 && Math.random() < 0.3
    next(isBad ? new Error('a bad release') : undefined)
  }, `,
      ],
    ],
    named: /requests that failed.*\[web, stage receive\]/,
  },
  { name: 'good web, bad converter', edits: [fails(5)], named: /\[converter, stage convert\]/ },
  { name: 'good', edits: [['services/web/app.ts', '/** Every route', '/** A good version. Every route']] },
]
