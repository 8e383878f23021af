/** Named places where a test can kill the process as kill -9 does: with FAULT_POINT=name:nth the nth time that it passes. */
let armed: { name: string; left: number } | undefined

/** Arms the fault point that the environment names; nothing when it is unset. */
export function armFault(setting: string | undefined): void {
  const [, name, nth] = /^([a-z.-]+):(\d+)$/.exec(setting ?? '') ?? []
  if (name) armed = { name, left: Number(nth) }
}

export function faultPoint(name: string): void {
  if (armed?.name === name && --armed.left === 0) process.kill(process.pid, 'SIGKILL')
}
