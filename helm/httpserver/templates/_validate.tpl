{{/* What values.schema.json cannot say because it takes two values to see it. Each message names both. */}}
{{- define "httpserver.validate" -}}
{{- $admin := dig "server" "admin" "enabled" true .Values.config -}}
{{- $server := .Values.config.server | default dict -}}
{{- $demo := .Values.config.demo | default dict -}}

{{- if lt (dig "hard_limit" 30 $server | float64) (addf (dig "drain_delay" 5 $server) (dig "grace_period" 20 $server)) -}}
{{- fail "config.server.hard_limit must be at least config.server.drain_delay + config.server.grace_period" -}}
{{- end -}}
{{- if gt (dig "delay_min" 0 $demo | float64) (dig "delay_max" 2 $demo | float64) -}}
{{- fail "config.demo.delay_min must not be above config.demo.delay_max" -}}
{{- end -}}
{{- $bound := -1.0 -}}
{{- range dig "metrics" "buckets" list .Values.config -}}
{{- if le (float64 .) $bound }}{{ fail "config.metrics.buckets must rise" }}{{ end -}}
{{- $bound = float64 . -}}
{{- end -}}
{{- if $admin -}}
{{- range get $server "ports" -}}
{{- if eq (int .) (dig "admin" "port" 9090 $server | int) -}}
{{- fail "config.server.ports and config.server.admin.port must differ" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if include "httpserver.tls" . -}}
{{- $others := get $server "ports" -}}
{{- if $admin }}{{ $others = append $others (dig "admin" "port" 9090 $server) }}{{ end -}}
{{- range $port := include "httpserver.tlsPorts" . | fromJsonArray -}}
{{- range $others -}}
{{- if eq (int .) (int $port) -}}
{{- fail "config.server.tls.ports must differ from config.server.ports and config.server.admin.port" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.service.tlsPort) (int .Values.service.port) -}}
{{- fail "service.port and service.tlsPort must differ" -}}
{{- end -}}
{{- $file := dig "tls" "cert_file" "/etc/httpserver/tls/tls.crt" $server -}}
{{- if and (hasPrefix "/etc/httpserver/tls/" $file) (not (include "httpserver.tlsSecretName" .)) -}}
{{- fail "config.server.tls.enabled needs tls.secretName, or certificate.enabled to make that Secret" -}}
{{- end -}}
{{- else if eq .Values.ingress.servicePort "https" -}}
{{- fail "ingress.servicePort https needs config.server.tls.enabled" -}}
{{- end -}}

{{- if and (or .Values.serviceMonitor.enabled .Values.podMonitor.enabled) (not $admin) -}}
{{- fail "serviceMonitor and podMonitor need config.server.admin.enabled: metrics are on the admin port" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "enable serviceMonitor or podMonitor, not both: every sample would be taken twice" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateways that take the route" -}}
{{- end -}}
{{- if .Values.certificate.enabled -}}
{{- if not (include "httpserver.dnsNames" . | fromJsonArray) -}}
{{- fail "certificate.enabled needs certificate.dnsNames, or a host of an enabled ingress or httpRoute" -}}
{{- end -}}
{{- if and .Values.certificate.issuerRef.name .Values.certificate.ca.create -}}
{{- fail "set certificate.issuerRef.name or certificate.ca.create, not both: which of them should sign?" -}}
{{- end -}}
{{- if not (or .Values.certificate.issuerRef.name .Values.certificate.ca.create) -}}
{{- fail "certificate.enabled needs certificate.issuerRef.name, or certificate.ca.create for a CA of our own" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.secret.existingSecret (or .Values.secret.users .Values.secret.tokenKey .Values.secret.controlToken) -}}
{{- fail "set secret.existingSecret, or secret.users, secret.tokenKey and secret.controlToken, not both" -}}
{{- end -}}
{{- if and .Values.rbac.create (not .Values.rbac.rules) -}}
{{- fail "rbac.create needs rbac.rules: a Role without rules grants nothing" -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail "autoscaling.minReplicas must not be above autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics) -}}
{{- fail "autoscaling.enabled needs a target for CPU or memory, or autoscaling.metrics" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "httpserver.validatePhonebook" . -}}
{{- include "httpserver.validateFiles" . -}}
{{- if and (dig "sms" "enabled" false .Values.config) (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) -}}
{{- fail "config.sms.enabled needs replicas: 1 and no autoscaling: each pod would send a message that another has sent" -}}
{{- end -}}
{{- include "httpserver.validateLog" . -}}
{{- if and (eq (toString .Values.strategy.maxSurge) "0") (eq (toString .Values.strategy.maxUnavailable) "0") -}}
{{- fail "strategy.maxSurge and strategy.maxUnavailable must not both be 0: no pod could ever be replaced" -}}
{{- end -}}
{{- end -}}
