/**
 * Kinds of the Prometheus operator and of KEDA in our manifests, with the keys that we use. Others are a type error.
 */
export type ServiceMonitor = {
  apiVersion: 'monitoring.coreos.com/v1'
  kind: 'ServiceMonitor'
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  spec: {
    jobLabel?: string
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

type AlertMatcher = { name: string; matchType: '=' | '!=' | '=~'; value: string }
type AlertRoute = {
  receiver: string
  groupBy?: string[]
  groupWait?: string
  groupInterval?: string
  repeatInterval?: string
  matchers?: AlertMatcher[]
  routes?: AlertRoute[]
}

export type AlertmanagerConfig = {
  apiVersion: 'monitoring.coreos.com/v1alpha1'
  kind: 'AlertmanagerConfig'
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  spec: {
    route: AlertRoute
    inhibitRules?: { sourceMatch: AlertMatcher[]; targetMatch: AlertMatcher[]; equal: string[] }[]
    receivers: {
      name: string
      webhookConfigs: { urlSecret: { name: string; key: string }; sendResolved: boolean }[]
    }[]
  }
}

type ScalingDirection = {
  stabilizationWindowSeconds: number
  policies: { type: 'Percent' | 'Pods'; value: number; periodSeconds: number }[]
}

export type ScaledObject = {
  apiVersion: 'keda.sh/v1alpha1'
  kind: 'ScaledObject'
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  spec: {
    scaleTargetRef: { name: string }
    minReplicaCount: number
    maxReplicaCount: number
    advanced: {
      horizontalPodAutoscalerConfig: { behavior: { scaleUp: ScalingDirection; scaleDown: ScalingDirection } }
    }
    triggers: {
      type: 'prometheus'
      name: string
      metricType: 'Value' | 'AverageValue'
      metadata: { serverAddress: string; query: string; threshold: string; ignoreNullValues: 'false' }
    }[]
  }
}
