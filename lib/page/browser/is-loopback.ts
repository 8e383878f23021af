/** Whether a host, by its address or name, is this machine. A name such as 127.0.0.1.example.com may be another. */
export const isLoopback = (host: string): boolean =>
  /^((.*\.)?localhost|(\[?::ffff:)?127(\.\d{1,3}){3}\]?|\[?::1\]?)\.?$/i.test(host)
