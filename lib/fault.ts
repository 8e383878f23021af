/**
 * Named places in the code where a test can kill the process as kill -9 does. With FAULT_POINT=name:nth it dies the
 * nth time it passes there. Costs one comparison when nothing is armed.
 */
let armed: { name: string; left: number } | undefined

/** Arms the fault point that the environment names; nothing when it is unset. */
export function armFault(setting: string | undefined): void {
  const [, name, nth] = /^([a-z.-]+):(\d+)$/.exec(setting ?? '') ?? []
  if (name) armed = { name, left: Number(nth) }
}

export function faultPoint(name: string): void {
  if (armed?.name === name && --armed.left === 0) process.kill(process.pid, 'SIGKILL')
}
