import { parser } from '@prometheus-io/lezer-promql'

type Tree = ReturnType<typeof parser.parse>
export type Node = Tree['topNode']

const mostTexts = 1_000

/** Computes each text once: a directory's expressions repeat few texts, and each is asked about several times. */
export function onceEach<T>(compute: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return text => {
    if (known.size > mostTexts) known.clear()
    return known.getOrInsertComputed(text, compute)
  }
}

export const treeOf = onceEach((promql): Tree => parser.parse(promql))
