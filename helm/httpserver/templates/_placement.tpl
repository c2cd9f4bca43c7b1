{{/* Where the replicas go: the user's affinity and constraints, or those of the `spread` preset. */}}
{{- define "httpserver.placement" -}}
{{- $hard := eq .Values.spread "hard" -}}
{{- if .Values.affinity -}}
affinity: {{- toYaml .Values.affinity | nindent 2 }}
{{- else if ne .Values.spread "none" -}}
affinity:
  podAntiAffinity:
    {{- if $hard }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "httpserver.selectorLabels" . | nindent 12 }}
        # Pods of the old and the new version may share a node, or a rollout would wait for a free one.
        matchLabelKeys: [pod-template-hash]
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "httpserver.selectorLabels" . | nindent 14 }}
    {{- end }}
{{- end }}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if ne .Values.spread "none" }}
topologySpreadConstraints:
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "httpserver.selectorLabels" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" $hard }}
    labelSelector:
      matchLabels: {{- include "httpserver.selectorLabels" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
