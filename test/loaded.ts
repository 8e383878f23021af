import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What is only for the outgrown form. */
export const heavy = /node_modules\/(@aws-sdk|@aws|@smithy|pg)\//

/** A module for --import that writes down each module that its process loads. */
export async function startList(folder: string) {
  const [hook, list] = [join(folder, 'hook.mjs'), join(folder, 'list')]
  await writeFile(
    hook,
    `import { appendFileSync } from 'node:fs'
     import { registerHooks } from 'node:module'
     registerHooks({ load(url, context, next) {
       appendFileSync(${JSON.stringify(list)}, process.argv[1] + ' ' + url + '\\n')
       return next(url, context)
     } })`,
  )
  const loadedBy = async (script: string) => {
    const lines = (await readFile(list, 'utf8'))
      .split('\n')
      .filter(line => line.split(' ')[0]?.endsWith(script))
    return lines.map(line => line.split(' ')[1] as string)
  }
  return { hook: pathToFileURL(hook).href, loadedBy }
}
