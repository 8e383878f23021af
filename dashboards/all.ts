import { createHash } from 'node:crypto'
import { globSync } from 'node:fs'
import { join, parse as parsePath } from 'node:path'
import { ExpectedError } from '@tintype/lib/errors.ts'
import type { Directory } from '../slo/directory.ts'
import { toNumber } from '../slo/math/fraction.ts'
import type { Objective } from '../slo/sources/index.ts'
import { unscoped } from '../slo/sources/promql.ts'
import { objectivesDashboard } from './objectives.ts'
import { resourcesDashboard, stagesDashboard } from './readings.ts'
import { type DashboardSpec, lines, type PanelSpec } from './spec.ts'
import { readWritten, type Written } from './written.ts'

/** The address of slo's page in a person's browser. */
const sloPage = { name: 'slo', title: 'SLO page', address: 'http://127.0.0.1:8084' }

/**
 * The dashboards of a directory: those of its objectives, stages and resources, if any, and those of its folder
 * dashboards/, which are YAML in the form of DashboardSpec.
 * @throws ExpectedError with file and panel when a YAML file is incomplete
 */
export function dashboardsOf(directory: Directory): DashboardSpec[] {
  const { folder, objectives, service } = directory
  const ofService = (
    name: string,
    spec: Omit<DashboardSpec, 'uid' | 'title' | 'service' | 'scope'>,
  ): DashboardSpec => ({
    ...spec,
    // Without hyphens in its own name: `api-objectives` of `shop` would have the uid of `objectives` of `shop-api`.
    uid: uidOf(`${service.service}-${name.replaceAll('-', '_')}`),
    service: service.displayName,
    title: `${service.displayName} · ${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    scope: service,
    pages: [sloPage, ...(spec.pages ?? [])],
  })
  const files = globSync('*.{yaml,yml}', { cwd: join(folder, 'dashboards') })
  const all = [
    // Recorded series have the labels of their rules and not those of the series that the rules read.
    { ...ofService('objectives', objectivesDashboard(objectives, service)), scope: unscoped },
    ...(service.stages.length > 0 ? [ofService('stages', stagesDashboard(service))] : []),
    ...(service.resources.length > 0 ? [ofService('resources', resourcesDashboard(service))] : []),
    ...files.toSorted().map(file => {
      const spec = readDashboard(join(folder, 'dashboards', file), objectives)
      return ofService(parsePath(file).name, spec)
    }),
  ]
  const twice = all.find(({ uid }, i) => all.findIndex(each => each.uid === uid) !== i)
  if (twice) throw new ExpectedError(`two dashboards are ${twice.uid}: rename a file`)
  return all
}

/** A uid that Grafana takes, of at most 40 letters, digits, - and _: another name is cut and gets a hash. */
const uidOf = (name: string): string =>
  /^[\w-]{1,40}$/.test(name)
    ? name
    : `${name.replaceAll(/[^\w-]/g, '-').slice(0, 31)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`

function readDashboard(file: string, objectives: readonly Objective[]) {
  const { rows, ...written } = readWritten(file)
  const hasAll =
    rows.length > 0 && rows.every(({ panels }) => panels.every(({ queries }) => queries.length > 0))
  if (!hasAll) throw new ExpectedError(`${file}: has no rows, or a panel without a query`)
  return {
    ...written,
    rows: rows.map(row => ({ ...row, panels: row.panels.map(panel => panelOf(file, panel, objectives)) })),
  } as Omit<DashboardSpec, 'uid' | 'title' | 'service' | 'scope'>
}

function panelOf(
  file: string,
  { thresholds, ...panel }: Written['rows'][number]['panels'][number],
  objectives: readonly Objective[],
): PanelSpec {
  const targets = thresholds?.map(({ above, means }) => ({ above: aboveOf(file, above, objectives), means }))
  return lines({ width: 8, min: 0, ...panel, ...(targets && { thresholds: targets }) } as PanelSpec)
}

/** A threshold that names an objective is the objective's target. */
function aboveOf(file: string, above: number | string, objectives: readonly Objective[]): number {
  if (typeof above === 'number') return above
  const objective = objectives.find(({ id }) => id === above)
  if (!objective) throw new ExpectedError(`${file}: objective ${above} of a threshold does not exist`)
  return toNumber(objective.target)
}

export const allPanels = ({ rows }: DashboardSpec): PanelSpec[] => rows.flatMap(({ panels }) => panels)
