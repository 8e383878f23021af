/** The kinds of the Prometheus operator that our manifests use, with the keys they use: anything else is a type error. */
export type ServiceMonitor = {
  apiVersion: 'monitoring.coreos.com/v1'
  kind: 'ServiceMonitor'
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  spec: {
    selector: { matchLabels: Record<string, string> }
    endpoints: {
      port: string
      interval: string
      relabelings?: { targetLabel: string; replacement: string }[]
    }[]
  }
}

export type PrometheusRule = {
  apiVersion: 'monitoring.coreos.com/v1'
  kind: 'PrometheusRule'
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  spec: {
    groups: {
      name: string
      interval?: string
      rules: {
        record?: string
        alert?: string
        expr: string
        for?: string
        keep_firing_for?: string
        labels?: Record<string, string>
        annotations?: Record<string, string>
      }[]
    }[]
  }
}
