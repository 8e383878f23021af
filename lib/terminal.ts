/**
 * A terminal's Ctrl-C and hang-up reach every process of its session, and it is for the launcher alone to stop us, in
 * order. Not by a session of our own: Linux then schedules each service as a group (autogroup), in which a child's
 * nice value is worth nothing against web, and web waited up to 200 ms for a processor.
 */
export function ignoreTerminal(): void {
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {})
}
