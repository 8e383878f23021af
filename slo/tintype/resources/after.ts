import { exhausted, factor, part, type Resource } from '../../diagnose/resource.ts'
import { gauge, mean, minus, named, over, plus, rate, type Signal } from '../../diagnose/signals.ts'
import { attempts } from '../../diagnose/stages.ts'
import type { View } from '../../diagnose/view.ts'
import {
  clockSkew,
  eventLoop,
  failingQueue,
  findWriter,
  slowDisk,
  slowQueue,
  storage,
  usedStorage,
} from './shared.ts'

/** A conversion under way for so long is no conversion any more; the deadline ends it later. */
const hungSeconds = 8
/** Unless those that come to their end take nearly as long: then all are slow, and none is hung. */
const hungTimes = 3
/** One photo that fails is tried three times: with a fifth of the attempts it is no single photo's matter. */
const limit = 0.2

const pixels = 'tintype_input_pixels_total'
const cost = 'tintype_conversion_cpu_seconds_total'
const costOf = (view: View, format?: string) => view.rate(cost, format === undefined ? {} : { format }) ?? 0

/** Processor seconds a second that the work of a window had cost at the baseline's prices; a format without one at today's. */
function atOldPrices(before: readonly View[]): (view: View) => number {
  const all = (metric: string, format: string) =>
    before.reduce((sum, window) => sum + (window.rate(metric, { format }) ?? 0), 0)
  const prices = new Map<string, number>()
  const priceOf = (format: string) => {
    const price = prices.get(format) ?? all(cost, format) / all(pixels, format)
    prices.set(format, price)
    return price
  }
  return view =>
    view.values(pixels, 'format').reduce((sum, format) => {
      const price = priceOf(format)
      return (
        sum + (Number.isFinite(price) ? (view.rate(pixels, { format }) ?? 0) * price : costOf(view, format))
      )
    }, 0)
}

const perPhoto = over(rate(cost), attempts(/^ok$/))

/** The work a photo is, at old prices: more pixels, or formats that cost more. */
const work = (before: readonly View[]): Signal => {
  const priced = atOldPrices(before)
  return {
    ...perPhoto,
    metric: pixels,
    query: `sum by (format) (rate(${pixels}[$w])) / scalar(${attempts(/^ok$/).query})`,
    value(view) {
      const photos = attempts(/^ok$/).value(view)
      return photos ? priced(view) / photos : null
    },
    reads: [...perPhoto.reads, pixels],
  }
}

/** What the same work costs, against the baseline's prices. */
const price = (before: readonly View[]): Signal => {
  const priced = atOldPrices(before)
  return {
    ...over(rate(cost), rate(pixels)),
    value(view) {
      const usual = priced(view)
      return usual > 0 ? costOf(view) / usual : null
    },
  }
}

/** Seconds a conversion takes for each second of a processor, its reading apart. */
const wallPerCpu: Signal = named(
  'tintype_stage_seconds{stage="convert"}',
  over(
    minus(
      rate('tintype_stage_seconds_sum', { stage: 'convert' }),
      rate('tintype_storage_seconds_sum', { operation: 'get', job: 'converter' }),
    ),
    rate(cost),
  ),
)

const share = (outcome: string): Signal => over(attempts(new RegExp(`^${outcome}$`)), attempts())
const age = gauge('tintype_slot_oldest_seconds')
const conversion = mean('tintype_stage_seconds', { stage: 'convert' })
const tooOld: Signal = {
  ...age,
  // Its largest: the deadline ends it and the next one begins young, so that a mean shows half of it.
  query:
    `clamp_max(max(max_over_time(${age.metric}[$w])) / ` +
    `clamp_min(${hungTimes} * (${conversion.query} or vector(0)), ${hungSeconds}), 1)`,
  reads: [...age.reads, ...conversion.reads],
  value(view) {
    const seconds = view.peak(age.metric)
    const usual = Math.max(hungSeconds, hungTimes * (conversion.value(view) ?? 0))
    return seconds === null ? null : Math.min(1, seconds / usual)
  },
}

const convert: readonly Resource[] = [
  exhausted(
    'convert',
    'hung-slot',
    tooOld,
    'the deadline ends it; npm run queue -- dead names the photo if it comes again',
  ),
  exhausted(
    'convert',
    'hung-slot',
    share('timeout'),
    'conversions reach the deadline: npm run queue -- dead names the photos',
    { limit },
  ),
  exhausted(
    'convert',
    'memory',
    over(
      plus(attempts(/^memory$/), rate('tintype_machine_oom_kills_total', { job: 'converter' })),
      attempts(),
    ),
    'raise CHILD_MEMORY_BYTES (or the machine’s memory), or lower the caps of the formats that decode whole',
    { limit },
  ),
  exhausted(
    'convert',
    'poison',
    share('crash'),
    'npm run queue -- dead names the photos; look at one apart from the service',
    { limit },
  ),
  factor(
    'convert',
    'big-inputs',
    work,
    'nothing is broken: photos are more work (larger, other formats); add slots, or lower MAX_PIXELS',
  ),
  factor(
    'convert',
    'release',
    price,
    'the same work costs more processor time: compare the versions, roll back',
  ),
  factor(
    'convert',
    'cpu',
    wallPerCpu,
    'conversions wait for a processor: find who else uses it (top), or give them cores of their own',
  ),
  slowDisk('convert', 'get', 'converter'),
]

/** A photo is several writes, one after the other. */
const writes: Signal = over(
  rate('tintype_storage_seconds_sum', { operation: 'put', job: 'converter' }),
  rate('tintype_stage_seconds_count', { stage: 'store' }),
)

const store: readonly Resource[] = [
  ...usedStorage('store', 'converter'),
  part('store', 'disk-latency', writes, findWriter),
  ...eventLoop('store', 'converter'),
]

const deliver: readonly Resource[] = [
  ...usedStorage('deliver', 'web'),
  failingQueue('deliver', 'converter'),
  clockSkew('deliver'),
  part(
    'deliver',
    'delivery',
    gauge('tintype_event_lag_seconds'),
    'events do not reach web’s clients: restart web, then look at the queue’s doorbell',
  ),
  // The result that names the thumbnails is written after them, and then the queue is told.
  slowDisk('deliver', 'put', 'converter', ['store']),
  slowQueue('deliver', 'complete', 'converter'),
  slowQueue('deliver', 'eventsAfter', 'web'),
  slowDisk('deliver', 'get', 'web'),
  part(
    'deliver',
    'file-count',
    storage('list', 'web'),
    'folders hold very many files: find the session (find DATA_DIR/storage -size +1M -type d), remove what nobody needs',
  ),
  ...eventLoop('deliver', 'web'),
]

/** A photo also waits for a slot that is lost to another one: the time goes in `wait`, the cause is in `convert`. */
const lostSlots = convert
  .filter(({ kind }) => kind === 'exhausted')
  .map((resource): Resource => ({ ...resource, stage: 'wait', blames: ['convert'] }))

/** From the claim to the person. */
export const after: readonly Resource[] = [...lostSlots, ...convert, ...store, ...deliver]
