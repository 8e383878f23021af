/** node:http without its WebSocket. An import of node:http would load undici for it: 15 MiB and 35 ms of each process. */
export const http = process.getBuiltinModule('node:http')
