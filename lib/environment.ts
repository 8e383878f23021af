/** An allow-list, so that an unforeseen secret is not passed on. */
const plain =
  /^(PATH|HOME|TMPDIR|LANG|LC_\w+|TZ|LD_\w+|MALLOC_\w+|NODE_COMPILE_CACHE|NODE_EXTRA_CA_CERTS|NODE_USE_SYSTEM_CA|NODE_USE_ENV_PROXY|NODE_TLS_REJECT_UNAUTHORIZED|SSL_CERT_\w+|NODE_OPTIONS|VIPS_\w+|(https?|no)_proxy)$/i

/** The variables without secrets, for children that decode uploads and for third-party programs. */
export const plainEnvironment = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => plain.test(name)))
