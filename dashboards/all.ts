import { journey } from './journey.ts'
import { logs } from './logs.ts'
import { machine } from './machine.ts'
import { promise } from './promise.ts'
import { release } from './release.ts'
import type { DashboardSpec } from './spec.ts'

export const dashboards: readonly DashboardSpec[] = [promise, journey, machine, logs, release]
