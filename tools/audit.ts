import { execFile } from 'node:child_process'
import { readArguments, runCommand } from '@tintype/lib/command-line.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'

const usage = `npm run audit [--registry URL]

Asks npm's registry whether advisories are known against the packages in package-lock.json, and lists them.
--registry URL   npm's own option: another registry than the configured one
Example: npm run audit
Exit status: 0 none is known, 1 some are, 2 bad arguments or the registry has no advisories (not available here).`

type Advisory = { title: string; url: string }
type Report = {
  message?: string
  vulnerabilities?: Record<string, { severity: string; via: (string | Advisory)[] }>
}

async function main(args: string[]): Promise<number> {
  readArguments(args, {})
  const { vulnerabilities, message } = await audit()
  if (!vulnerabilities)
    throw new ExpectedError(`not available here: ${message ?? 'npm audit gave no report'}`)
  // A package that is listed only because of a dependency has the dependency's name and no advisory.
  const advisories = Object.entries(vulnerabilities).flatMap(([name, { severity, via }]) =>
    via.flatMap(each =>
      typeof each === 'string' ? [] : [`${name} (${severity}): ${each.title} ${each.url}`],
    ),
  )
  console.log(advisories.join('\n') || 'no advisory is known against these packages')
  return advisories.length > 0 ? 1 : 0
}

/** Runs npm audit. npm exits with 1 for advisories and for errors, which its report distinguishes. */
const audit = (): Promise<Report> =>
  new Promise(resolve => {
    const options = { cwd: `${import.meta.dirname}/..`, timeout: 60_000, maxBuffer: 2 ** 26 }
    execFile('npm', ['audit', '--json'], options, (error, output) => {
      try {
        resolve(JSON.parse(output))
      } catch {
        resolve({ message: error?.message ?? 'npm audit gave no report' })
      }
    })
  })

const args = process.argv.slice(2)
process.exitCode = await runCommand(args, usage, () => main(args))
