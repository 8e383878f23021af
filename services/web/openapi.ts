import { formats } from '@tintype/lib/photo/record.ts'
import { version } from '@tintype/lib/version.ts'

/** GET /openapi.json. Each answer that a test sees is looked up here: what is not told of fails the test. */

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const content = (type: string, schema: object) => ({ content: { [type]: { schema } } })
const json = (description: string, schema: object) => ({
  description,
  ...content('application/json', schema),
})
const bytes = { type: 'string', format: 'binary' }
const image = (description: string) => ({ description, ...content('image/*', bytes) })
const seconds = { type: 'number', minimum: 0, description: 'seconds' }
const time = { type: 'string', format: 'date-time' }
const object = (properties: Record<string, object>, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
})

const problems = {
  400: 'empty or malformed',
  404: 'not here, or another session’s',
  408: 'came too slowly',
  409: 'this Idempotency-Key was used for another photo',
  410: 'it failed, or was deleted',
  413: 'too large',
  415: 'not a type that is taken',
  422: 'too many pixels; or, waited for, it could not be converted',
  429: 'too many in this minute, or at once; see Retry-After',
  503: 'the minute could not be kept, the server stops, or misses something that it needs; see Retry-After',
} as const

const refusals = (...statuses: (keyof typeof problems)[]) =>
  Object.fromEntries(
    statuses.map(status => [
      status,
      { description: problems[status], ...content('application/problem+json', ref('Problem')) },
    ]),
  )

const idParameter = { name: 'id', in: 'path', required: true, schema: ref('PhotoId') }
const header = (name: string, schema: object, description: string) => ({
  name,
  in: 'header',
  schema,
  description,
})
const query = (name: string, schema: object, description: string) => ({
  name,
  in: 'query',
  schema,
  description,
})

const upload = {
  summary: 'Upload a photo',
  description:
    'Answered when the photo is durable; from then on its thumbnail is promised within the minute.',
  parameters: [
    header(
      'Prefer',
      { type: 'string', examples: ['wait=60'] },
      'wait so many seconds (60 at most) for the thumbnail; Preference-Applied tells that it does',
    ),
    header('Idempotency-Key', { type: 'string', maxLength: 255 }, 'repeats answer the same photo'),
  ],
  requestBody: {
    required: true,
    content: {
      'image/*': { schema: bytes },
      'multipart/form-data': { schema: object({ photo: bytes }) },
    },
  },
  responses: {
    201: json('the thumbnail is ready', ref('Photo')),
    202: json('accepted; the thumbnail is to come', ref('Photo')),
    ...refusals(400, 408, 409, 410, 413, 415, 422, 429, 503),
  },
}

const thumbnail = {
  summary: 'The thumbnail',
  parameters: [
    query('size', { type: 'integer' }, 'longest side in pixels; default: the first that is made'),
    query('format', { enum: ['jpg', 'png', 'webp', 'avif'] }, 'default: the first that is made'),
  ],
  responses: {
    200: image('the thumbnail; it never changes'),
    202: { description: 'still being made; see Retry-After' },
    304: { description: 'as you have it' },
    ...refusals(404, 410, 503),
  },
}

const photo = object(
  {
    id: ref('PhotoId'),
    state: { enum: ['queued', 'converting', 'ready', 'failed'] },
    reason: object({ code: { type: 'string' }, detail: { type: 'string' } }),
    acceptedAt: time,
    promiseBy: time,
    kept: { type: 'boolean', description: 'absent while it is open, and for what was no promise after all' },
    format: { enum: formats },
    bytes: { type: 'integer' },
    width: { type: 'integer', description: 'of the upright photo; absent while it is not known' },
    height: { type: 'integer' },
    damaged: { const: true, description: 'the thumbnail shows what could be decoded' },
    thumbnails: {
      type: 'array',
      items: object({
        side: { type: 'integer' },
        format: { type: 'string' },
        width: { type: 'integer' },
        height: { type: 'integer' },
        bytes: { type: 'integer' },
        href: { type: 'string' },
      }),
    },
    stages: object({ receive: seconds, wait: seconds, convert: seconds, store: seconds }, ['receive']),
    links: object({ self: { type: 'string' }, thumbnail: { type: 'string' }, original: { type: 'string' } }),
  },
  ['id', 'state', 'acceptedAt', 'promiseBy', 'format', 'bytes', 'stages', 'links'],
)

const status = object({
  online: { type: 'boolean' },
  budgetLeftMinutes: { type: 'number' },
  budgetMinutes: { type: 'number' },
  keptRatio: { type: ['number', 'null'] },
  at: time,
})

const problem = object(
  {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
  },
  ['type', 'title', 'status', 'detail'],
)

const photoPath = {
  parameters: [idParameter],
  get: {
    summary: 'A photo and its state',
    responses: { 200: json('the photo', ref('Photo')), ...refusals(404, 503) },
  },
  delete: { summary: 'Delete a photo', responses: { 204: { description: 'gone' }, ...refusals(404, 503) } },
}

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Tintype',
    version,
    description:
      'A photo in, its thumbnail out, within a minute. A session is a cookie; it sees its own photos only.',
  },
  paths: {
    '/': {
      get: {
        summary: 'The page',
        responses: { 200: { description: 'HTML' }, 304: { description: 'as you have it' } },
      },
    },
    '/photos': {
      post: upload,
      get: {
        summary: 'This session’s photos, newest first',
        parameters: [query('after', ref('PhotoId'), 'as in `next` of the page before')],
        responses: {
          200: json(
            '`next` is the address of the next page or null',
            object({ photos: { type: 'array', items: ref('Photo') }, next: { type: ['string', 'null'] } }),
          ),
          ...refusals(400, 503),
        },
      },
    },
    '/photos/{id}': photoPath,
    '/photos/{id}/thumbnail': { parameters: [idParameter], get: thumbnail },
    '/photos/{id}/original': {
      parameters: [idParameter],
      get: {
        summary: 'The photo as it was uploaded',
        responses: { 200: image('its bytes'), 304: { description: 'as you have it' }, ...refusals(404, 503) },
      },
    },
    '/events': {
      get: {
        summary: 'Server-sent events of this session',
        description:
          '`photo`: data is the photo as GET /photos/{id} gives it now, or {id, state: deleted}. `reset`: what was missed is not known; read GET /photos anew.',
        parameters: [header('Last-Event-ID', { type: 'string' }, 'resumes after it')],
        responses: {
          200: { description: 'events', ...content('text/event-stream', { type: 'string' }) },
          ...refusals(503),
        },
      },
    },
    '/experience': {
      post: {
        summary: 'How long a photo took as its person saw it, click to thumbnail on screen',
        requestBody: {
          required: true,
          ...content('application/json', object({ photo: ref('PhotoId'), seconds })),
        },
        responses: { 204: { description: 'noted' }, ...refusals(400, 404, 408, 413, 503) },
      },
    },
    '/status.json': {
      get: {
        summary: 'How the promise stands',
        responses: { 200: json('as last computed', ref('Status')), ...refusals(404) },
      },
    },
    '/pages.json': {
      get: {
        summary: 'Addresses of the other pages that this browser can reach',
        responses: { 200: json('by the page’s name', { type: 'object' }) },
      },
    },
    '/openapi.json': {
      get: { summary: 'This document', responses: { 200: json('OpenAPI 3.1', { type: 'object' }) } },
    },
  },
  components: {
    schemas: {
      PhotoId: { type: 'string', pattern: '^[0-9a-hjkmnp-tv-z]{25}$' },
      Photo: photo,
      Status: status,
      Problem: problem,
    },
  },
} as const
