import type { IncomingMessage, Server } from 'node:http'
import { Problem, sendProblem } from '../http.ts'

const uninvited = new WeakSet<IncomingMessage>()

/** False while the client of this request waits for 100 Continue. */
export const isInvited = (request: IncomingMessage): boolean => !uninvited.has(request)

/**
 * `Expect: 100-continue`: 100 Continue is sent when the app begins to read the body, so that no invited body is then
 * refused. A response sent before the body was read closes the connection, because the client may still send the body.
 */
export function answerExpectations(server: Server): void {
  server.on('checkContinue', (request, response) => {
    const read = request._read
    uninvited.add(request)
    response.setHeader('Connection', 'close')
    request._read = size => {
      request._read = read
      uninvited.delete(request)
      if (!response.headersSent) {
        response.removeHeader('Connection')
        response.writeContinue()
      }
      request._read(size)
    }
    server.emit('request', request, response)
  })
  server.on('checkExpectation', (_request, response) =>
    sendProblem(
      response,
      new Problem(417, 'expectation-failed', 'Expect must be 100-continue; send the request without it.'),
    ),
  )
}
