/**
 * Named places in the code at which a test ends the process as kill -9 would: FAULT_POINT=name:nth dies at the
 * nth passing. Costs one comparison when nothing is armed.
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
