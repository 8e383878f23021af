/** Places where a test can kill the process as by kill -9: FAULT_POINT=name:nth does it at the nth pass. */
let armed: { name: string; left: number } | undefined

/** Arms the fault point that FAULT_POINT names. Does nothing when it is unset. */
export function armFault(setting: string | undefined): void {
  const [, name, nth] = /^([a-z.-]+):(\d+)$/.exec(setting ?? '') ?? []
  if (name) armed = { name, left: Number(nth) }
}

export function faultPoint(name: string): void {
  if (armed?.name === name && --armed.left === 0) process.kill(process.pid, 'SIGKILL')
}
