import { journey } from './journey.ts'
import { machine } from './machine.ts'
import { release } from './release.ts'
import type { DashboardSpec } from './spec.ts'

export const dashboards: readonly DashboardSpec[] = [journey, machine, release]
