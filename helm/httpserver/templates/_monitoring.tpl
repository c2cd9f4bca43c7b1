{{/* What a ServiceMonitor's and a PodMonitor's endpoint have in common; takes the values of either. */}}
{{- define "httpserver.scrape" -}}
- port: admin
  path: /metrics
  {{- with .interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- with .relabelings }}
  relabelings: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Each histogram as one native series with our bounds, the classic buckets beside it; takes the values of either. */}}
{{- define "httpserver.nativeHistograms" -}}
{{- if .nativeHistograms -}}
convertClassicHistogramsToNHCB: true
scrapeClassicHistograms: true
{{- end -}}
{{- end -}}

{{/* Labels of the dashboards' ConfigMaps: a component of their own. */}}
{{- define "httpserver.dashboardLabels" -}}
{{- include "httpserver.labels" . | replace "component: server" "component: dashboards" -}}
{{- end -}}
