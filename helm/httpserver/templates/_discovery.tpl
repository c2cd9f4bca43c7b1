{{/*
Namespaces whose EndpointSlices the service watches, as JSON: those of `config.discovery.services` of the source
`kubernetes`. None of them, no Role, no token and no way to the API server.
*/}}
{{- define "httpserver.discoveryNamespaces" -}}
{{- $namespaces := list -}}
{{- range $name, $service := dig "discovery" "services" dict .Values.config -}}
{{- if eq $service.source "kubernetes" -}}
{{- $parts := splitList "/" ($service.name | default $name) -}}
{{- $namespaces = append $namespaces (ternary (first $parts) $.Release.Namespace (eq (len $parts) 2)) -}}
{{- end -}}
{{- end -}}
{{- $namespaces | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Whether the pods get a token of the Kubernetes API. */}}
{{- define "httpserver.automountToken" -}}
{{- or .Values.serviceAccount.automountToken (gt (len (include "httpserver.discoveryNamespaces" . | fromJsonArray)) 0) -}}
{{- end -}}

{{/* Name of the Role in a namespace, of the list of context and namespace: releases of one name may meet in another's. */}}
{{- define "httpserver.discoveryRole" -}}
{{- $context := first . -}}
{{- $prefix := ternary "" (printf "%s-" $context.Release.Namespace) (eq (last .) $context.Release.Namespace) -}}
{{- printf "%s%s" $prefix (include "httpserver.fullname" $context) | trunc 53 | trimSuffix "-" -}}-discovery
{{- end -}}
