{{/* Out to the cluster's DNS, on both protocols. */}}
{{- define "httpserver.dnsEgress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
{{- end -}}

{{/* The test pods, as a peer that may come in. */}}
{{- define "httpserver.testPeer" -}}
{{- if .Values.tests.enabled -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ include "httpserver.fullname" . }}-test
{{- end -}}
{{- end -}}
