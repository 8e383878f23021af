import { context, propagation, trace } from '@opentelemetry/api'
import { vi } from 'vitest'

// Files share a process, in which packages stay loaded. Each evaluates our modules anew: none sees what another counted.
vi.resetModules()
// OpenTelemetry refuses a second provider: the spans of a file would go to that of the file before it.
for (const each of [context, propagation, trace]) each.disable()
