export { metrics } from '@tintype/lib/telemetry/definitions.ts'
