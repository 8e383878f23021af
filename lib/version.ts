import root from '../package.json' with { type: 'json' }

/** The version in the root's package.json: `tintype_build_info`, traces and releases name it. */
export const { version } = root
