import { request } from 'node:http'
import type { Lab } from '../drill.ts'
import type { Traffic } from '../traffic.ts'

const pieces = 8
const uploadSeconds = 5

/** From now on every photo comes over a slow line: in pieces, for some seconds. */
export function slowUploads(lab: Lab, address: string, traffic: Traffic): void {
  const { rate } = traffic
  const everyMs = 1000 / rate
  traffic.rate = 0
  let sent = 0
  const timer = setInterval(() => {
    const image = traffic.images[sent++ % traffic.images.length] as Buffer
    send(address, image)
  }, everyMs)
  lab.onEnd(() => {
    clearInterval(timer)
    traffic.rate = rate
  })
}

function send(address: string, image: Buffer): void {
  const headers = { 'Content-Type': 'image/jpeg', 'Content-Length': image.length }
  const upload = request(new URL('/photos', address), { method: 'POST', headers })
  upload.on('response', response => response.resume()).on('error', () => {})
  const size = Math.ceil(image.length / pieces)
  for (let piece = 0; piece < pieces; piece++) {
    const bytes = image.subarray(piece * size, (piece + 1) * size)
    setTimeout(() => upload.write(bytes), (piece * uploadSeconds * 1000) / pieces)
  }
  setTimeout(() => upload.end(), uploadSeconds * 1000)
}
