import { isNewborn, processLabels, type Sample, scrapedSeconds } from './counter.ts'
import type { Series } from './index.ts'
import { noneIfTooMany, type PrometheusApi } from './prometheus-api.ts'

/** A first value of a series, and what adds events to its minute. */
export type Newborn = { labels: Series['labels']; sample: Sample; add(sample: Sample, grown: number): void }

type Answered = Awaited<ReturnType<PrometheusApi['query']>>

/**
 * Counts the first values of series that are new in a process which was scraped before (`isNewborn`). `answered`: the
 * samples of the counter in these seconds until `end`, epoch seconds, and in the scrape before.
 */
export async function addNewborn(
  api: PrometheusApi,
  begun: readonly Newborn[],
  answered: Answered,
  seconds: number,
  end: number,
): Promise<void> {
  if (begun.length === 0) return
  const of = (label: string) => {
    const values = new Set(begun.map(({ labels }) => RegExp.escape(labels[label] ?? '')))
    return `${label}=~${JSON.stringify([...values].join('|'))}`
  }
  const selector = `up{${of('job')},${of('instance')}}`
  const ups = await api.query(`${selector}[${seconds + 2 * scrapedSeconds}s]`, end).catch(noneIfTooMany)
  for (const births of Map.groupBy(begun, each => `${processOf(each)} ${each.sample.timeMs}`).values()) {
    const [first] = births as [Newborn]
    const ofProcess = (all: Answered) => all.filter(each => processOf(each) === processOf(first))
    if (isNewborn(ofProcess(ups), ofProcess(answered), first.sample))
      for (const { sample, add } of births) add(sample, sample.value)
  }
}

const processOf = ({ labels }: Pick<Series, 'labels'>): string =>
  JSON.stringify(processLabels.map(label => labels[label]))
