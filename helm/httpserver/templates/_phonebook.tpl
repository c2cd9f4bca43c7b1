{{/* Claim of the volume with the contacts, or nothing where they are elsewhere. */}}
{{- define "httpserver.phonebookClaim" -}}
{{- with .Values.phonebook.persistence -}}
{{- if .enabled }}{{ .existingClaim | default (printf "%s-phonebook" (include "httpserver.fullname" $)) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* What a claim asks for; its context is one of the `persistence` values. */}}
{{- define "httpserver.claimSpec" -}}
accessModes:
  - {{ .accessMode }}
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end -}}

{{/*
The folder of the secret settings, where PostgreSQL's URL may come from a Secret of its own. The kubelet swaps it when
either changes, and the service watches.
*/}}
{{- define "httpserver.secretsVolume" -}}
projected:
  defaultMode: 0440
  sources:
    - secret:
        name: {{ include "httpserver.secretName" . }}
        # The service runs without it, and takes it in when it comes.
        optional: true
    {{- with .Values.phonebook.postgresql }}
    {{- if .secretName }}
    - secret:
        name: {{ .secretName }}
        items:
          - key: {{ .urlKey }}
            path: phonebook__postgresql__url
    {{- end }}
    {{- end }}
{{- end -}}

{{/* Where the container sees what the phone book needs. */}}
{{- define "httpserver.phonebookMounts" -}}
{{- if include "httpserver.phonebookClaim" . }}
- name: phonebook
  mountPath: /var/lib/httpserver
{{- end }}
{{- if .Values.phonebook.postgresql.caSecretName }}
- name: postgresql-ca
  mountPath: /etc/httpserver/postgresql
  readOnly: true
{{- end }}
{{- end -}}

{{- define "httpserver.phonebookVolumes" -}}
{{- with include "httpserver.phonebookClaim" . }}
- name: phonebook
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- with .Values.phonebook.postgresql }}
{{- if .caSecretName }}
- name: postgresql-ca
  secret:
    secretName: {{ .caSecretName }}
    defaultMode: 0440
    items:
      - key: {{ .caKey }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* What two values of the phone book cannot be together; part of `httpserver.validate`. */}}
{{- define "httpserver.validatePhonebook" -}}
{{- $config := .Values.config.phonebook | default dict -}}
{{- $sqlite := eq (get $config "store" | default "sqlite") "sqlite" -}}
{{- $many := or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
{{- if and (get $config "enabled") $sqlite $many -}}
{{- fail "config.phonebook.store sqlite needs replicas: 1 and no autoscaling: each pod would have contacts of its own" -}}
{{- end -}}
{{- if .Values.phonebook.persistence.enabled -}}
{{- if $many -}}
{{- fail "phonebook.persistence.enabled needs replicas: 1 and no autoscaling: one pod has the volume" -}}
{{- end -}}
{{- if not (and (get $config "enabled") $sqlite (hasPrefix "/var/lib/httpserver/" (get $config "sqlite_path"))) -}}
{{- fail "phonebook.persistence.enabled needs config.phonebook.enabled, store sqlite, and a sqlite_path below /var/lib/httpserver/" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.phonebook.postgresql.secretName (or (not (get $config "enabled")) $sqlite) -}}
{{- fail "phonebook.postgresql.secretName needs config.phonebook.enabled and store postgresql" -}}
{{- end -}}
{{- if and .Values.phonebook.postgresql.caSecretName (ne (dig "postgresql" "ca_file" "" $config) "/etc/httpserver/postgresql/ca.crt") -}}
{{- fail "phonebook.postgresql.caSecretName needs config.phonebook.postgresql.ca_file: /etc/httpserver/postgresql/ca.crt" -}}
{{- end -}}
{{- end -}}
