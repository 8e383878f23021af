export { isLoopback } from './page/browser/loopback.ts'

/** A URL as this machine's programs reach it: a bind address that means all interfaces becomes loopback. */
export const fromHere = (url: string): string =>
  url.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]')
