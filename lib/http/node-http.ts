/** node:http without its WebSocket. An import of node:http would load undici for it: 15 MiB and 35 ms of each process. */
export const http = process.getBuiltinModule('node:http')

/** Long enough for a packet that is sent again after the first second. */
const attemptMs = 1_500
const net = process.getBuiltinModule('node:net')
// Of a name with several addresses Node gives up each but the last after 250 ms. Over a slow line every one would seem away:
// a probe would fail, and no alert would arrive.
net.setDefaultAutoSelectFamilyAttemptTimeout(
  Math.max(attemptMs, net.getDefaultAutoSelectFamilyAttemptTimeout()),
)
