import * as api from '@opentelemetry/api'
import type { StageName } from './catalogue.ts'

export type { Span } from '@opentelemetry/api'

const tracer = api.trace.getTracer('tintype')

/** `parent`: W3C traceparent of the parent; default: the active span. Times are epoch milliseconds. */
type SpanOptions = api.SpanOptions & { parent?: string | undefined }

/** Runs a stage inside a span of its name. An error is recorded on the span and rethrown. */
export async function withSpan<T>(
  stage: StageName,
  options: SpanOptions,
  run: (span: api.Span) => Promise<T>,
): Promise<T> {
  const parent = parentContext(options.parent)
  const span = tracer.startSpan(stage, options, parent)
  try {
    return await api.context.with(api.trace.setSpan(parent, span), () => run(span))
  } catch (error) {
    // A refusal, whose status is below 500, is no error of a server's span by OpenTelemetry's conventions.
    const { status = 500, message } = error as Error & { status?: number }
    if (status >= 500) {
      markFailed(span, message)
      span.recordException(error as Error)
    }
    throw error
  } finally {
    span.end()
  }
}

/** The span of a request; the client's traceparent is its parent. End it with `endRequest`. */
export function startRequest(headers: object, attributes: api.Attributes): api.Span {
  const parent = api.propagation.extract(api.ROOT_CONTEXT, headers)
  return tracer.startSpan('request', { kind: api.SpanKind.SERVER, attributes }, parent)
}

/** Names the span by OpenTelemetry's conventions, `POST /photos`, and ends it. Without `status` the client had left. */
export function endRequest(span: api.Span, method: string, route: string, status?: number): void {
  span.updateName(`${method === '_OTHER' ? 'HTTP' : method} ${route}`.trim())
  span.setAttributes({ 'http.route': route || undefined, 'http.response.status_code': status })
  if (status && status >= 500)
    span.setStatus({ code: api.SpanStatusCode.ERROR }).setAttribute('error.type', String(status))
  span.end()
}

/** Runs a function with this span as the active one. */
export const inSpan = (span: api.Span, run: () => void): void =>
  api.context.with(api.trace.setSpan(api.context.active(), span), run)

/** Marks a span as failed when the failure is a value and not an error. */
export const markFailed = (span: api.Span, message: string): void =>
  void span.setStatus({ code: api.SpanStatusCode.ERROR, message })

/** Records a span that has already ended, such as the wait in the queue. Returns its traceparent. */
export function recordSpan(stage: StageName, options: SpanOptions & { endTime: number }): string | undefined {
  const span = tracer.startSpan(stage, options, parentContext(options.parent))
  span.end(options.endTime)
  return traceparentOf(span)
}

export const describeSpan = (about: api.Attributes): void =>
  void api.trace.getActiveSpan()?.setAttributes(about)

/** A span's W3C traceparent; undefined when tracing is off. */
export function traceparentOf(span: api.Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return api.trace.isSpanContextValid(span.spanContext())
    ? `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
    : undefined
}

/** The active span's W3C traceparent; undefined when tracing is off. */
export function traceparent(): string | undefined {
  const span = api.trace.getActiveSpan()
  return span && traceparentOf(span)
}

/** The active span's trace id, for exemplars; undefined when its trace is not exported. */
export const traceId = (): string | undefined => sampledId(api.trace.getActiveSpan()?.spanContext())

/** The trace id within a W3C traceparent; undefined when its trace is not sampled. */
export const traceIdOf = (traceparent = ''): string | undefined => sampledId(contextOf(traceparent))

const sampledId = (context?: api.SpanContext): string | undefined =>
  context && context.traceFlags & api.TraceFlags.SAMPLED ? context.traceId : undefined

/** Without a propagator: OTEL_PROPAGATORS chooses those for what clients send. */
const parentContext = (traceparent: string | undefined): api.Context =>
  traceparent === undefined
    ? api.context.active()
    : api.trace.setSpanContext(api.ROOT_CONTEXT, contextOf(traceparent))

/** A text that is no traceparent gives an invalid context: it is not sampled, and no span takes it as its parent. */
function contextOf(traceparent: string): api.SpanContext {
  const [, traceId = '', spanId = '', flags = '0'] =
    /^00-(\w{32})-(\w{16})-([\da-f]{2})$/.exec(traceparent) ?? []
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}
