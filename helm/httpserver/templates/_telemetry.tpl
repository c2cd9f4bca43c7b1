{{/*
Variables that tell OpenTelemetry which pod it runs in: attributes of every trace and of metrics that are pushed. A
variable of the same name in `extraEnv` is the user's.
*/}}
{{- define "httpserver.identity" -}}
{{- $taken := list -}}
{{- range .Values.extraEnv }}{{- $taken = append $taken .name -}}{{- end -}}
{{- if not (has "OTEL_RESOURCE_ATTRIBUTES" $taken) -}}
{{- range $name, $path := dict "K8S_NAMESPACE" "metadata.namespace" "K8S_NODE" "spec.nodeName" "K8S_POD" "metadata.name" "K8S_POD_UID" "metadata.uid" }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ $path }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(K8S_NAMESPACE),k8s.node.name=$(K8S_NODE),k8s.pod.name=$(K8S_POD),k8s.pod.uid=$(K8S_POD_UID)
{{- end }}
{{- end }}
