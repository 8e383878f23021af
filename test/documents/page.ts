import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { files, read, root } from '../tidy/sources.ts'

/** Something on a page, with the number of its line. */
export type Found = { line: number; text: string }
export type Heading = Found & { level: number; slug: string }
/** A fenced block: its language and its text. */
export type Block = Found & { language: string }
/** The content below a heading, up to the next one. The first section has no heading. */
export type Section = { heading: Heading; blocks: Block[]; codes: Found[]; links: Found[]; rows: number }

/** Every page of the documentation, from the root. */
export const pages = files('{*.md,docs/**/*.md,slo/README.md}')

/** Pages that exist in English only: names and formats, most of them generated from the code. */
const inEnglishOnly = ['docs/reference.md', 'docs/slo.md']

/** The pages that exist in both languages: English, Korean. */
export const pairs = pages
  .filter(page => page === 'README.md' || /^docs\/(?!ko\/)/.test(page))
  .filter(page => !inEnglishOnly.includes(page))
  .map(page => [page, koreanOf(page)] as const)

export function koreanOf(page: string): string {
  return page === 'README.md' ? 'README.ko.md' : page.replace(/^docs\//, 'docs/ko/')
}

export const englishOf = (page: string): string =>
  page.replace(/^README\.ko\.md$/, 'README.md').replace(/^docs\/ko\//, 'docs/')

/** A heading's anchor, as GitHub makes it. */
const slugOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')

/** A page's sections. Markdown as these pages use it: ATX headings, fences of three backticks, inline links. */
export function sectionsOf(page: string): Section[] {
  const sections: Section[] = []
  let block: (Block & { margin: number }) | undefined
  const begin = (line: number, level: number, text: string) =>
    sections.push({
      heading: { line, level, text, slug: slugOf(text) },
      blocks: [],
      codes: [],
      links: [],
      rows: 0,
    })
  begin(1, 0, '')
  for (const [index, text] of read(page).split('\n').entries()) {
    const line = index + 1
    const section = sections.at(-1) as Section
    const [, margin = '', language] = /^( *)```(.*)$/.exec(text) ?? []
    const [, marks, title = ''] = /^(#+) (.*)$/.exec(text) ?? []
    if (language !== undefined && block) block = undefined
    else if (language !== undefined) {
      block = { line, language, text: '', margin: margin.length }
      section.blocks.push(block)
    } else if (block) block.text += `${text.slice(block.margin)}\n`
    else if (marks) begin(line, marks.length, title)
    else {
      if (text.startsWith('|')) section.rows++
      for (const [, code = ''] of text.matchAll(/`([^`]+)`/g)) section.codes.push({ line, text: code })
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)|<(https?:[^>]+)>/g))
        section.links.push({ line, text: target })
    }
  }
  return sections
}

/** A link's file from the root, or its address, and the heading that it names, if any. */
export function targetOf(page: string, link: string): { file: string; heading?: number; missing?: string } {
  if (/^[a-z]+:/.test(link)) return { file: link }
  const [path = '', anchor] = link.split('#')
  const file = path === '' ? page : normalize(join(dirname(page), path))
  if (!existsSync(join(root, file))) return { file, missing: `${file} does not exist` }
  if (anchor === undefined) return { file }
  const heading = sectionsOf(file).findIndex(({ heading }) => heading.slug === decodeURIComponent(anchor))
  return heading < 0 ? { file, missing: `${file} has no heading #${anchor}` } : { file, heading }
}
