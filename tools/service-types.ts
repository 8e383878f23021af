export type Endpoints = Record<string, string>

export type Service = {
  name: string
  args: readonly string[]
  /** Variables added to the environment of all services. */
  environment?: NodeJS.ProcessEnv
} & (Script | Program)

/** A service of Tintype, which prints a ready line (lib/run.ts) and ends when its IPC channel closes. */
export type Script = {
  script: string
  /** The checkout of the service; default: the launcher's. */
  root?: string
}

/** Another program, which the kernel kills when the launcher ends. */
export type Program = {
  program: string
  /** The program's working folder, where `output.log` has its output. */
  folder: string
  user?: { uid?: number; gid?: number }
  stopSignal: NodeJS.Signals
  /** The program's addresses once it can be used; undefined before. */
  answers(): Promise<Endpoints | undefined>
}
