import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import type { PrometheusRule } from '../k8s/kinds.ts'
import { alertmanagerConfig, rules } from '../slo/alerts/rules.ts'
import { ruleYaml } from '../slo/cli/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { prometheusConfig } from './stack/config.ts'

const usage = `npm run rules [-- --check] [--namespace NAME]

Writes the rules and configuration that compose and k8s need, from slo/tintype; --check compares only.
  --namespace   the namespace that the rules of k8s select (default: tintype)
Example: npm run rules -- --check
Exit status: 0 done or equal, 1 a file differs, 2 bad arguments.`

const root = join(import.meta.dirname, '..')
const yaml = (content: object): string => `${ruleYaml(content, 'npm run rules')}\n`

/** Each generated file by its path from the root. */
export function generated(namespace = 'tintype'): Record<string, string> {
  const { objectives, service } = readDirectory()
  const prometheusRule: PrometheusRule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'tintype' },
    spec: rules(objectives, { ...service, selectors: { ...service.selectors, namespace } }),
  }
  return {
    'slo/tintype/generated/rules.yml': yaml(rules(objectives, service)),
    'slo/tintype/generated/alertmanager.yml': yaml(
      alertmanagerConfig({
        webhook: '/etc/alertmanager/alert_webhook_url',
        deadman: 'http://watch:9084/alerts',
      }),
    ),
    'tools/stack/prometheus.yml': yaml(
      prometheusConfig({
        scrapeSeconds: 15,
        targets: {
          web: ['tintype:9081'],
          converter: ['tintype:9082'],
          logs: ['tintype:9083'],
          slo: ['tintype:9084', 'watch:9084'],
        },
        alertmanager: 'alertmanager:9093',
      }),
    ),
    'k8s/rules/prometheus-rule.yaml': yaml(prometheusRule),
  }
}

function main(args: string[]): number {
  const { values } = readArguments(args, { check: { type: 'boolean' }, namespace: { type: 'string' } })
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(values.namespace ?? 'tintype'))
    throw new UsageError(`--namespace "${values.namespace}" is not the name of a namespace`)
  let status = 0
  for (const [path, content] of Object.entries(generated(values.namespace))) {
    const file = join(root, path)
    if (!values.check) {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
    } else if (!existsSync(file) || readFileSync(file, 'utf8') !== content) {
      console.error(`${path} differs from slo/tintype; run npm run rules`)
      status = 1
    }
  }
  return status
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}
