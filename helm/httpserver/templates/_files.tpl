{{/* What two values of the files cannot be together; part of `httpserver.validate`. */}}
{{- define "httpserver.validateFiles" -}}
{{- $config := .Values.config.files | default dict -}}
{{- if and $config.enabled (ne (get $config "store") "s3") (eq (include "httpserver.filesOfEachPod" .) "true") -}}
{{- fail "config.files.store disk with an emptyDir or ephemeral volume at config.files.root needs replicas: 1 and no autoscaling: each pod would have files of its own" -}}
{{- end -}}
{{- end -}}

{{/* Whether there are several pods, each with a volume of its own at `config.files.root`. */}}
{{- define "httpserver.filesOfEachPod" -}}
{{- $root := dig "files" "root" "" .Values.config -}}
{{- $own := list -}}
{{- range .Values.extraVolumes -}}
{{- if or (hasKey . "emptyDir") (hasKey . "ephemeral") -}}{{- $own = append $own .name -}}{{- end -}}
{{- end -}}
{{- $found := false -}}
{{- range .Values.extraVolumeMounts -}}
{{- if and (has .name $own) (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) (printf "%s/" $root)) -}}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- and $found (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) -}}
{{- end -}}
