{{/* Whether the log service is on: "true" or nothing. */}}
{{- define "httpserver.log" -}}
{{- if dig "log_service" "enabled" false .Values.config }}true{{ end -}}
{{- end -}}

{{/* Name of what belongs to the log service: its Service, its claim, its certificates. */}}
{{- define "httpserver.logName" -}}
{{- printf "%s-log" (include "httpserver.fullname" .) -}}
{{- end -}}

{{/* Claim of the volume with the segments, or nothing where they are elsewhere. */}}
{{- define "httpserver.logClaim" -}}
{{- with .Values.commitLog.persistence -}}
{{- if .enabled }}{{ .existingClaim | default (include "httpserver.logName" $) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Secret with the certificate that the gRPC port shows, or nothing: the user's, or the one that cert-manager fills. */}}
{{- define "httpserver.logSecretName" -}}
{{- with .Values.commitLog -}}
{{- if .tls.secretName -}}
{{- .tls.secretName -}}
{{- else if .certificate.enabled -}}
{{- include "httpserver.logName" $ }}-tls
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Who signs the certificates of the log: an issuer that is there, or a CA of its own. */}}
{{- define "httpserver.logIssuer" -}}
{{- with .Values.commitLog.certificate.issuerRef -}}
{{- if .name -}}
{{- toYaml . -}}
{{- else -}}
name: {{ include "httpserver.logName" $ }}-ca
kind: Issuer
group: cert-manager.io
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the certificates of server and clients have in common. */}}
{{- define "httpserver.logCertificate" -}}
duration: {{ .Values.commitLog.certificate.duration }}
renewBefore: {{ .Values.commitLog.certificate.renewBefore }}
# A new key with each certificate: one that leaked is of no use after the next renewal.
privateKey:
  algorithm: ECDSA
  size: 256
  rotationPolicy: Always
revisionHistoryLimit: 3
issuerRef:
  {{- include "httpserver.logIssuer" . | nindent 2 }}
{{- end -}}

{{/* Where the container sees what the log needs. */}}
{{- define "httpserver.logMounts" -}}
{{- if include "httpserver.logClaim" . }}
- name: log
  mountPath: /var/lib/httpserver-log
{{- end }}
{{- if include "httpserver.logSecretName" . }}
- name: log-tls
  mountPath: /etc/httpserver/log-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "httpserver.logVolumes" -}}
{{- with include "httpserver.logClaim" . }}
- name: log
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- with include "httpserver.logSecretName" . }}
# A folder: the kubelet swaps it when the certificate is renewed, and the service looks at it.
- name: log-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* What two values of the log cannot be together; part of `httpserver.validate`. */}}
{{- define "httpserver.validateLog" -}}
{{- $config := .Values.config.log_service | default dict -}}
{{- $tls := $config.tls | default dict -}}
{{- $segments := and $config.enabled (ne (get $config "store") "jetstream") -}}
{{- $many := or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
{{- if and $segments $many -}}
{{- fail "config.log_service.store segments or memory needs replicas: 1 and no autoscaling: each pod would have a log of its own" -}}
{{- end -}}
{{- if and $config.enabled (eq (get $config "store") "segments") (hasPrefix "/var/lib/httpserver-log" (get $config "directory")) (not .Values.commitLog.persistence.enabled) -}}
{{- fail "config.log_service.directory below /var/lib/httpserver-log needs commitLog.persistence.enabled" -}}
{{- end -}}
{{- if .Values.commitLog.persistence.enabled -}}
{{- if not (and $config.enabled (eq (get $config "store") "segments") (hasPrefix "/var/lib/httpserver-log/" (get $config "directory"))) -}}
{{- fail "commitLog.persistence.enabled needs config.log_service.enabled, store segments, and a directory below /var/lib/httpserver-log/" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.commitLog.tls.secretName .Values.commitLog.certificate.enabled -}}
{{- fail "set commitLog.tls.secretName or commitLog.certificate.enabled, not both" -}}
{{- end -}}
{{- if and (include "httpserver.logSecretName" .) (not (and $config.enabled $tls.enabled)) -}}
{{- fail "commitLog.tls.secretName and commitLog.certificate.enabled need config.log_service.enabled and config.log_service.tls.enabled" -}}
{{- end -}}
{{- if and $config.enabled $tls.enabled (hasPrefix "/etc/httpserver/log-tls/" (get $tls "cert_file")) (not (include "httpserver.logSecretName" .)) -}}
{{- fail "config.log_service.tls.enabled needs commitLog.tls.secretName, or commitLog.certificate.enabled to make that Secret" -}}
{{- end -}}
{{- end -}}
