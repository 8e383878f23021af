import { toNumber } from '../slo/math/fraction.ts'
import { readObjectives } from '../slo/objectives/objectives.ts'
import { type DashboardSpec, lines, type PanelSpec, target } from './spec.ts'

const inTime = Math.max(
  ...readObjectives()
    .filter(({ name }) => name === 'latency')
    .map(({ target }) => toNumber(target)),
)

/** Adds the version of the process that a series comes from. */
const ofVersion = `* on (job, instance) group_left (version) tintype_build_info{${target}, version=~"$version"}`

/** A line a version. */
const panel = (
  title: string,
  description: string,
  unit: string,
  expr: string,
  more: Partial<PanelSpec> = {},
): PanelSpec => lines(title, description, unit, [{ expr, legend: '{{version}}' }], { height: 8, ...more })

const rate = (selector: string) => `sum by (version) (rate(${selector}[$__rate_interval]) ${ofVersion})`

/** Old against new, with the same objectives: what a canary is judged by. */
export const release: DashboardSpec = {
  uid: 'tintype-release',
  title: 'Tintype · Release',
  description: 'Is the new version as good as the old one? Each line is a version.',
  from: 'tintype_build_info',
  byVersion: true,
  rows: [
    {
      title: 'Old against new',
      panels: [
        panel(
          'Which versions are running?',
          'Processes by version. During a rolling release two are seen, afterwards one.',
          'short',
          `count by (version) (tintype_build_info{${target}, version=~"$version"})`,
        ),
        panel(
          'Are promises kept by each version?',
          'Kept of kept and broken, by the version that settled the photo. The line is the objective.',
          'percentunit',
          `${rate(`tintype_promises_total{outcome="kept", ${target}}`)} / ${rate(`tintype_promises_total{outcome=~"kept|broken", ${target}}`)}`,
          { max: 1, thresholds: [{ above: inTime, means: 'good' }] },
        ),
        panel(
          'How many answers are errors?',
          'Share of each version’s answers with a status of 500 and above.',
          'percentunit',
          `(${rate(`http_server_request_duration_seconds_count{http_response_status_code=~"5..", ${target}}`)} or 0 * ${rate(`http_server_request_duration_seconds_count{${target}}`)}) / ${rate(`http_server_request_duration_seconds_count{${target}}`)}`,
          { softMax: 0.05 },
        ),
        panel(
          'How long does each version take?',
          'Mean from the last byte received to the durable thumbnail.',
          's',
          `${rate(`tintype_photo_seconds_sum{${target}}`)} / ${rate(`tintype_photo_seconds_count{${target}}`)}`,
        ),
        panel(
          'What CPU does a conversion cost?',
          'Seconds of a core for each attempt: comparable, however little traffic a canary gets.',
          's',
          `${rate(`tintype_conversion_cpu_seconds_total{${target}}`)} / ${rate(`tintype_conversions_total{${target}}`)}`,
        ),
        panel(
          'What memory does a process take?',
          'Resident set, the mean of a version’s processes; the variable Job takes them apart.',
          'bytes',
          `avg by (version) (process_resident_memory_bytes{${target}} ${ofVersion})`,
        ),
      ],
    },
  ],
}
