import { type Block, englishOf, type Found, koreanOf, type Section, sectionsOf, targetOf } from './page.ts'

/** The lines of a block without the parts that a translation may change: shell comments, labels of a diagram. */
function linesOf({ language, line, text }: Block): Found[] {
  return text
    .split('\n')
    .map((each, index) => ({ line: line + 1 + index, text: untranslated(language, each).trim() }))
    .filter(each => each.text !== '')
}

function untranslated(language: string, text: string): string {
  if (language === 'sh') return text.replace(/(^|\s)#.*$/, '')
  if (language !== 'mermaid') return text
  return text
    .replace(/(\(\[|\[\()[^\])]*(\]\)|\)\])/g, '$1$2')
    .replace(/-- .*? -->/g, '-->')
    .replace(/-\. .*? \.->/g, '-.->')
}

/** A link's destination in either language: a page by its English name, a heading by its number. */
function destination(page: string, link: string): string {
  const { file, heading } = targetOf(page, link)
  return `${englishOf(file)}${heading === undefined ? '' : ` (heading ${heading})`}`
}

/** The items of one list that the other lacks, by their line. */
function lacking(
  [page, mine]: [string, Found[]],
  [other, theirs]: [string, Found[]],
  section: Section,
  what: string,
): string[] {
  const left = theirs.map(({ text }) => text)
  return mine.flatMap(({ line, text }) => {
    const at = left.indexOf(text)
    if (at >= 0) left.splice(at, 1)
    return at >= 0 ? [] : [`${page}:${line}: ${what} ${text} is not in ${other}:${section.heading.line}`]
  })
}

/** The differences between an English page and its Korean one, by page and line. */
export function differences(english: string): string[] {
  const korean = koreanOf(english)
  const [ours, theirs] = [sectionsOf(english), sectionsOf(korean)]
  const found: string[] = []
  for (const [index, en] of ours.entries()) {
    const ko = theirs[index]
    if (ko?.heading.level !== en.heading.level)
      return [
        ...found,
        `${english}:${en.heading.line}: the heading “${en.heading.text}” is not in ${korean}:${ko?.heading.line ?? 'end'}`,
      ]
    found.push(...ofSection([english, en], [korean, ko]))
  }
  const more = theirs[ours.length]?.heading
  return more ? [...found, `${korean}:${more.line}: the heading “${more.text}” is not in ${english}`] : found
}

function ofSection([english, en]: [string, Section], [korean, ko]: [string, Section]): string[] {
  const both = (what: string, pick: (page: string, section: Section) => Found[]) => [
    ...lacking([english, pick(english, en)], [korean, pick(korean, ko)], ko, what),
    ...lacking([korean, pick(korean, ko)], [english, pick(english, en)], en, what),
  ]
  const rows =
    en.rows === ko.rows
      ? []
      : [
          `${korean}:${ko.heading.line}: ${ko.rows} table rows below this heading, ${en.rows} below ${english}:${en.heading.line}`,
        ]
  return [
    ...both('the block', (_, { blocks }) => blocks.map(({ line, language }) => ({ line, text: language }))),
    ...both('the line', (_, { blocks }) => blocks.flatMap(linesOf)),
    ...both('the code', (_, { codes }) => codes),
    ...both('the link', (page, { links }) =>
      links
        .map(({ line, text }) => ({ line, text: destination(page, text) }))
        .filter(({ text }) => text !== english),
    ),
    ...rows,
  ]
}
