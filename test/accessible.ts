import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** The checks of axe in each colour scheme. Only contrast depends on the scheme, and all checks take a second. */
const runOnly = {
  light: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  dark: { type: 'rule', values: ['color-contrast'] },
}

type Violation = { id: string; help: string; nodes: { target: string[] }[] }

/**
 * The barriers of the page in its current state, in light and in dark: violations of axe, and content outside of the
 * screen. Empty without barriers.
 */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const found: string[] = []
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    const options = { runOnly: runOnly[colorScheme], resultTypes: ['violations'] }
    const { violations } = (await page.evaluate(`axe.run(${JSON.stringify(options)})`)) as {
      violations: Violation[]
    }
    found.push(
      ...violations.map(
        ({ id, help, nodes }) =>
          `${colorScheme}: ${id}: ${help}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`,
      ),
    )
  }
  const beside = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  return Number(beside) > 0 ? [...found, `scrolls sideways by ${beside} px`] : found
}
