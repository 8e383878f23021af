import express from 'express'
import { expect, test } from 'vitest'
import { clientAddress, isTrustedProxy } from './address.ts'

const app = express().set('trust proxy', isTrustedProxy)
const of = (remoteAddress: string | undefined, forwarded?: string) => {
  const request = { socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } }
  return clientAddress(Object.assign(Object.create(app.request), request))
}

test.each([
  ['203.0.113.9', undefined, '203.0.113.9'],
  ['::ffff:203.0.113.9', undefined, '203.0.113.9'],
  ['2001:db8:1:2:3::4', undefined, '2001:db8:1:2::/64'],
  ['127.0.0.1', undefined, '127.0.0.1'],
  [undefined, '203.0.113.9', ''],
  // What a client says of itself is not believed.
  ['203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['2001:db8::9', '198.51.100.1', '2001:db8:0:0::/64'],
  // A proxy beside us is.
  ['127.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['::1', '198.51.100.1', '198.51.100.1'],
  ['::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
  ['fd00::1', '198.51.100.1:5678', '198.51.100.1'],
  ['fe80::1%eth0', '198.51.100.1', '198.51.100.1'],
  ['100.64.3.4', '198.51.100.1', '198.51.100.1'], // pods of EKS, and Tailscale
  ['192.168.1.1', '[2001:db8::1]:443', '2001:db8:0:0::/64'],
  ['192.168.1.1', '[2001:db8::1]', '2001:db8:0:0::/64'],
  ['192.168.1.1', '2001:db8::1', '2001:db8:0:0::/64'],
  ['172.16.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
  ['172.16.0.1', '[::ffff:198.51.100.1]:80', '198.51.100.1'],
  // Only as far as proxies vouch for each other: what stands before is the client's own invention.
  ['127.0.0.1', '1.1.1.1, 198.51.100.1:5678, 10.0.0.7', '198.51.100.1'],
  ['127.0.0.1', ' 10.0.0.5 ,10.0.0.7', '10.0.0.5'],
  ['127.0.0.1', 'unknown, 10.0.0.7', '127.0.0.1'],
  ['127.0.0.1', '198.51.100.1, nonsense', '127.0.0.1'],
  ['127.0.0.1', '0x7f.1', '127.0.0.1'],
  ['127.0.0.1', '', '127.0.0.1'],
])('%s with X-Forwarded-For: %s is %s', (remote, forwarded, address) => {
  expect(of(remote, forwarded)).toBe(address)
})
