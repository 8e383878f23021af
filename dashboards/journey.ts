import { type Stage, stages } from '../lib/telemetry/catalogue.ts'
import { type DashboardSpec, type PanelSpec, target } from './spec.ts'

/** Stages of the promise and of what follows; `experience` contains them all and would be counted twice. */
const ownTime = `stage!="experience", ${target}`

const meaning: Record<Stage, string> = {
  receive: 'request body to durable original. Slow with a fast disk means slow clients: not ours to mend.',
  wait: 'in the queue. Grows first when converters are too few, hung or away.',
  convert: 'decode, resize and encode. Grows with larger photos, a busy CPU or a worse release.',
  store: 'thumbnail and result durable. Grows with the disk.',
  deliver: 'durable thumbnail to the person having it. Grows when events stall.',
  experience: 'what the browser measured, from the click to the thumbnail on screen.',
}

const quantile = (q: number, selector: string) =>
  `histogram_quantile(${q}, sum by (le) (rate(tintype_stage_seconds_bucket{${selector}}[$__rate_interval])))`

const lane = (stage: Stage): PanelSpec => ({
  kind: 'timeseries',
  title: `How long does ${stage} take?`,
  description: `Stage ${stage}: ${meaning[stage]} Points are example traces.`,
  unit: 's',
  width: 8,
  height: 7,
  min: 0,
  queries: [0.5, 0.95, 0.99].map(q => ({
    expr: quantile(q, `stage="${stage}", ${target}`),
    legend: `p${q * 100}`,
    exemplars: q === 0.99,
  })),
  links: [{ title: 'One session’s story', url: '$stories' }],
})

const perStage = (window: string, offset = '') =>
  `sum by (stage) (rate(tintype_stage_seconds_sum{${ownTime}}[${window}]${offset})) / ` +
  `sum by (stage) (rate(tintype_stage_seconds_count{${ownTime}}[${window}]${offset}))`

const byRoute = (selector: string) =>
  `sum by (http_route) (rate(http_server_request_duration_seconds_count{${selector}${target}}[$__rate_interval]))`

export const journey: DashboardSpec = {
  uid: 'tintype-journey',
  title: 'Tintype · Journey',
  description: 'Where does a photo’s time go? The stages first, then the requests.',
  from: 'tintype_build_info{service=~"web|converter"}',
  ago: ['1h', '1d', '7d'],
  rows: [
    {
      title: 'Which stage?',
      panels: [
        {
          kind: 'timeseries',
          title: 'Which stage takes the time?',
          description:
            'Share of each stage in the time photos spend with us. A band that widens is the stage to look at below.',
          unit: 'percentunit',
          width: 12,
          height: 8,
          min: 0,
          max: 1,
          stacked: true,
          queries: [
            {
              expr:
                `sum by (stage) (rate(tintype_stage_seconds_sum{${ownTime}}[$__rate_interval])) / on () group_left () ` +
                `sum(rate(tintype_stage_seconds_sum{${ownTime}}[$__rate_interval]))`,
              legend: '{{stage}}',
            },
          ],
        },
        {
          kind: 'bars',
          title: 'Which stage grew?',
          description: 'Mean time of each stage now, against what it was before: 100 % is as it was.',
          unit: 'percentunit',
          width: 6,
          height: 8,
          min: 0,
          queries: [
            {
              expr: `sort_desc((${perStage('$__rate_interval')}) / (${perStage('$__rate_interval', ' offset $ago')}))`,
              legend: '{{stage}}',
            },
          ],
          thresholds: [
            { above: 1.5, means: 'late' },
            { above: 3, means: 'broken' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'What became of uploads?',
          description:
            'Accepted photos are promises; rejected were no photos we take; shed could not have been served in time.',
          unit: 'reqps',
          width: 6,
          height: 8,
          min: 0,
          queries: [
            {
              expr: `sum by (outcome) (rate(tintype_photos_total{${target}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
        },
      ],
    },
    { title: 'A lane a stage', panels: stages.map(lane) },
    {
      title: 'Requests',
      panels: [
        {
          kind: 'timeseries',
          title: 'How many requests?',
          description: 'Requests a second by route.',
          unit: 'reqps',
          width: 8,
          height: 7,
          min: 0,
          queries: [{ expr: byRoute(''), legend: '{{http_route}}' }],
        },
        {
          kind: 'timeseries',
          title: 'How many fail on our side?',
          description:
            'Share of answers with a status of 500 and above, by route. 503 is a refusal for load.',
          unit: 'percentunit',
          width: 8,
          height: 7,
          min: 0,
          max: 1,
          queries: [
            {
              expr: `(${byRoute('http_response_status_code=~"5..", ')} or 0 * ${byRoute('')}) / ${byRoute('')}`,
              legend: '{{http_route}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'How long do requests take?',
          description: '95th percentile by route. POST /photos contains the client’s own upload time.',
          unit: 's',
          width: 8,
          height: 7,
          min: 0,
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, http_route) (rate(http_server_request_duration_seconds_bucket{${target}}[$__rate_interval])))`,
              legend: '{{http_route}}',
              exemplars: true,
            },
          ],
        },
      ],
    },
  ],
}
