/** A command whose program the kernel kills when this process ends, also by kill -9. Only Linux can do that. */
export const endingWithUs = (program: string, args: readonly string[]): [string, readonly string[]] =>
  process.platform === 'linux' ? ['setpriv', ['--pdeathsig', 'KILL', program, ...args]] : [program, args]
