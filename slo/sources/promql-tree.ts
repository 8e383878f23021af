import { parser } from '@prometheus-io/lezer-promql'

type Tree = ReturnType<typeof parser.parse>
export type Node = Tree['topNode']

const trees = new Map<string, Tree>()
const mostTrees = 1_000

/** The tree of a text, parsed once: a directory's expressions repeat few texts, and each is asked about several times. */
export function treeOf(promql: string): Tree {
  if (trees.size > mostTrees) trees.clear()
  return trees.getOrInsertComputed(promql, () => parser.parse(promql))
}
