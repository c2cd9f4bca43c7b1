{{/* Name of the objects. It equals the instance label, which is what policy checkers compare. */}}
{{- define "httpserver.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that selectors use: never changed, because a Deployment's selector cannot be. */}}
{{- define "httpserver.selectorLabels" -}}
app.kubernetes.io/name: httpserver
app.kubernetes.io/instance: {{ include "httpserver.fullname" . }}
app.kubernetes.io/component: server
{{- end -}}

{{/* The same for the admin Service, which a ServiceMonitor selects. */}}
{{- define "httpserver.adminLabels" -}}
{{- include "httpserver.selectorLabels" . | replace "component: server" "component: admin" -}}
{{- end -}}

{{/* Labels that name the release, its part and its version. */}}
{{- define "httpserver.releaseLabels" -}}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/part-of: httpserver
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of every object. Those that change with the chart stay out of the pod template: no rollout for them. */}}
{{- define "httpserver.labels" -}}
{{ include "httpserver.selectorLabels" . }}
{{ include "httpserver.objectLabels" . }}
{{- end -}}

{{/* Labels of an object without those of a selector. */}}
{{- define "httpserver.objectLabels" -}}
{{ include "httpserver.releaseLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Labels of the test pods: another instance, so that no selector of the service takes them in. */}}
{{- define "httpserver.testLabels" -}}
app.kubernetes.io/name: httpserver-test
app.kubernetes.io/instance: {{ include "httpserver.fullname" . }}-test
app.kubernetes.io/component: test
{{ include "httpserver.releaseLabels" . }}
{{- end -}}

{{/* Image with registry, tag and digest. */}}
{{- define "httpserver.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ . }}/{{ end -}}
{{- .repository }}:{{ .tag | default $.Chart.AppVersion -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "httpserver.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "httpserver.fullname" .) -}}
{{- end -}}

{{/* Secret that is mounted: the user's, or the chart's. */}}
{{- define "httpserver.secretName" -}}
{{- .Values.secret.existingSecret | default (include "httpserver.fullname" .) -}}
{{- end -}}

{{/* Secret that cert-manager fills. */}}
{{- define "httpserver.certificateSecretName" -}}
{{- .Values.certificate.secretName | default (printf "%s-tls" (include "httpserver.fullname" .)) -}}
{{- end -}}

{{/* Whether the service speaks TLS itself: "true" or nothing. */}}
{{- define "httpserver.tls" -}}
{{- if dig "server" "tls" "enabled" false .Values.config }}true{{ end -}}
{{- end -}}

{{/* TLS ports of the pods, as JSON; none where it doesn't. */}}
{{- define "httpserver.tlsPorts" -}}
{{- ternary (dig "server" "tls" "ports" (list 8443) .Values.config) list (eq (include "httpserver.tls" .) "true") | toJson -}}
{{- end -}}

{{/* Secret that the service's TLS ports have their certificate from, or nothing. */}}
{{- define "httpserver.tlsSecretName" -}}
{{- if .Values.tls.secretName -}}
{{- .Values.tls.secretName -}}
{{- else if .Values.certificate.enabled -}}
{{- include "httpserver.certificateSecretName" . -}}
{{- end -}}
{{- end -}}

{{/* Name of the CA's objects. */}}
{{- define "httpserver.caName" -}}
{{- printf "%s-ca" (include "httpserver.fullname" .) -}}
{{- end -}}

{{/* Hosts of the Ingress, as JSON. */}}
{{- define "httpserver.ingressHosts" -}}
{{- $hosts := list -}}
{{- range .Values.ingress.hosts }}{{ $hosts = append $hosts .host }}{{ end -}}
{{- $hosts | compact | uniq | toJson -}}
{{- end -}}

{{/*
Names the certificate is for, as JSON: those given, or all that the Ingress and the HTTPRoute serve, and those of the
Service where the pods themselves show it.
*/}}
{{- define "httpserver.dnsNames" -}}
{{- $names := .Values.certificate.dnsNames -}}
{{- if not $names -}}
{{- if .Values.ingress.enabled }}{{ $names = include "httpserver.ingressHosts" . | fromJsonArray }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $names = concat $names .Values.httpRoute.hostnames }}{{ end -}}
{{- if include "httpserver.tls" . -}}
{{- $service := printf "%s.%s.svc" (include "httpserver.fullname" .) .Release.Namespace -}}
{{- $names = concat $names (list (include "httpserver.fullname" .) (trimSuffix ".svc" $service) $service (printf "%s.cluster.local" $service)) -}}
{{- end -}}
{{- end -}}
{{- $names | compact | uniq | toJson -}}
{{- end -}}

{{/*
Number of replicas, or nothing when the HorizontalPodAutoscaler owns it. A field that Helm wrote once and then leaves
out falls back to its default, and that is 1: turning the autoscaler on would take most of the pods away until it has
measured. So an upgrade repeats the number that the running Deployment has; a render without a cluster has none.
*/}}
{{- define "httpserver.replicas" -}}
{{- if not .Values.autoscaling.enabled -}}
{{- .Values.replicas -}}
{{- else -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "httpserver.fullname" .) -}}
{{- max 1 (dig "spec" "replicas" 1 .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Port the probes ask: the admin one, or the main one where there is no admin listener. */}}
{{- define "httpserver.probePort" -}}
{{- ternary "admin" "http" (dig "server" "admin" "enabled" true .Values.config) -}}
{{- end -}}

{{/*
The settings that need a new process, as JSON: `config` less the paths in files/live-settings.json. Its checksum on
the pod template is what rolls the pods. A change of the log level or of another live setting leaves it as it is,
and the running processes read it from the mounted ConfigMap (docs/adr/0002-config-reload-without-rollout.md).
*/}}
{{- define "httpserver.restartConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $live := .Files.Get "files/live-settings.json" | default "missing" | fromJsonArray -}}
{{- if not (has "log.level" $live) }}{{ fail "files/live-settings.json is missing from the chart" }}{{ end -}}
{{- range $live -}}
{{- $path := splitList "." . -}}
{{- $section := $config -}}
{{- range initial $path }}{{ $section = get $section . | default dict }}{{ end -}}
{{- $_ := unset $section (last $path) -}}
{{- end -}}
{{- $config | toJson -}}
{{- end -}}

{{/*
Seconds until Kubernetes kills the pod. The kubelet counts from the start of the termination, so all of it has to fit:

  preStop sleep -> SIGTERM -> drain_delay (still accepting) -> grace_period (requests in flight) -> exit
                   '-------------------- hard_limit: the process exits whatever --------------------'

5 s are left for closing parts and flushing; hard_limit comes before the kill, so that the process can still say why.
*/}}
{{- define "httpserver.terminationGracePeriodSeconds" -}}
{{- $preStop := float64 .Values.preStopSleepSeconds -}}
{{- $drain := dig "server" "drain_delay" 5 .Values.config | float64 -}}
{{- $grace := dig "server" "grace_period" 20 .Values.config | float64 -}}
{{- $hard := dig "server" "hard_limit" 30 .Values.config | float64 -}}
{{- $least := addf $preStop $drain $grace 5 | ceil | int -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- addf $preStop $hard 5 | ceil | int -}}
{{- else if lt (int $given) $least -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but a clean stop may take %d s: preStopSleepSeconds %v + config.server.drain_delay %v + config.server.grace_period %v + 5. Raise it, lower one of those, or leave it null." (int $given) $least $preStop $drain $grace) -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end -}}

{{/*
What keeps the pods: a StatefulSet where a volume holds the records of the log, so that no second pod is ever started while
the first may still write to it; a Deployment else.
*/}}
{{- define "httpserver.workload" -}}
{{- if .Values.commitLog.persistence.enabled }}StatefulSet{{ else }}Deployment{{ end -}}
{{- end -}}

{{/*
How an upgrade replaces pods. A StatefulSet takes the old one away first; so does Recreate, where a volume holds contacts: a
new pod could not have it before the old one lets go, and a rollout that waits for the new one would wait for ever.
*/}}
{{- define "httpserver.strategy" -}}
{{- if eq (include "httpserver.workload" .) "StatefulSet" -}}
serviceName: {{ include "httpserver.logName" . }}
{{- else if .Values.phonebook.persistence.enabled -}}
strategy:
  type: Recreate
{{- else -}}
strategy:
  type: RollingUpdate
  rollingUpdate: {{- toYaml .Values.strategy | nindent 4 }}
{{- end -}}
{{- end -}}
