{{/*
Rules of files/rules, as YAML text, with what belongs to the release in the place of the source's own words. The source
is a set of rule files that any Prometheus takes as they are, so these are words and not template actions; a test
changes each value and looks for the old word.
*/}}
{{- define "httpserver.ruleText" -}}
{{- $rule := .root.Values.prometheusRule -}}
{{- $runbook := ternary (printf "runbook_url: %s/" (trimSuffix "/" $rule.runbookUrl)) "runbook: docs/runbooks/" (ne $rule.runbookUrl "") -}}
{{- $bound := toString $rule.slo.latencyBound -}}
{{- $job := include "httpserver.selectorLabels" .root | fromYaml | dig "app.kubernetes.io/name" "" -}}
{{- .text
  | replace "job=\"httpserver\"" (printf "job=%q,namespace=%q" $job .root.Release.Namespace)
  | replace "(1 - 0.999)" (printf "(1 - %v)" $rule.slo.availability)
  | replace "(1 - 0.99)" (printf "(1 - %v)" $rule.slo.latency)
  | replace "le=\"2.5\"" (printf "le=%q" (ternary $bound (printf "%s.0" $bound) (contains "." $bound)))
  | replace "> 2.5" (printf "> %s" $bound)
  | replace "> 0.05" (printf "> %v" $rule.errorRatio)
  | replace "/livez|/healthz|/readyz|/startupz|/latency" $rule.slo.ignoredRoutes
  | replace "/delay/.*" $rule.slo.slowRoutes
  | replace "httpserver-(tls|ca|log-.+)" (printf "%s|%s|%s-.+" (include "httpserver.certificateSecretName" .root) (include "httpserver.caName" .root) (include "httpserver.logName" .root))
  | replace "runbook: docs/runbooks/" $runbook
-}}
{{- end -}}

{{/* What takes two values to see, and a name that no alert has: an override of it would do nothing. */}}
{{- define "httpserver.validateRules" -}}
{{- $rule := .root.Values.prometheusRule -}}
{{- $bounds := list -}}
{{- range dig "metrics" "buckets" (list) .root.Values.config }}{{ $bounds = append $bounds (float64 .) }}{{ end -}}
{{- if not (has (float64 $rule.slo.latencyBound) $bounds) -}}
{{- fail "prometheusRule.slo.latencyBound must be one of config.metrics.buckets: a histogram knows no other bounds" -}}
{{- end -}}
{{- /* fails with what is wrong: they are regular expressions of Go, as Prometheus has them */ -}}
{{- $_ := list (mustRegexMatch $rule.slo.ignoredRoutes "") (mustRegexMatch $rule.slo.slowRoutes "") -}}
{{- range concat $rule.disabled (keys $rule.overrides) -}}
{{- if not (has . $.names) }}{{ fail (printf "prometheusRule: there is no alert %s" .) }}{{ end -}}
{{- end -}}
{{- end -}}
