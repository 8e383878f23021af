/** By name, so that a secret that nobody thought of is not among them. */
const plain =
  /^(PATH|HOME|TMPDIR|LANG|LC_\w+|TZ|LD_\w+|MALLOC_\w+|NODE_COMPILE_CACHE|NODE_EXTRA_CA_CERTS|NODE_OPTIONS|VIPS_\w+|(https?|no)_proxy)$/i

/** What a program needs of an environment to run at all: for those that decode strangers' bytes, and for other people's. */
export const plainEnvironment = (environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value !== undefined && plain.test(name) ? [[name, value]] : [],
    ),
  )
