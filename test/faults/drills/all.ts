import type { Drill } from '../drill.ts'
import { convert } from './convert.ts'
import { quiet } from './quiet.ts'
import { receive } from './receive.ts'
import { unseen } from './unseen.ts'

export const drills: readonly Drill[] = [...receive, ...convert, ...quiet, ...unseen]
