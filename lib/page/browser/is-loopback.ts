/** Whether a host, by its address or name, is this machine. Of a longer name that begins with 127. another one may be. */
export const isLoopback = (host: string): boolean =>
  /^((.*\.)?localhost|(\[?::ffff:)?127(\.\d{1,3}){3}\]?|\[?::1\]?)\.?$/i.test(host)
