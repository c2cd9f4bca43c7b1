{{/*
A pod of `helm test`: the service's own image runs one of the scripts under files/tests. Takes a dict of `context`
(the chart's root), `name`, `script`, `args` and, to read the certificate, `secret`.
Names are fixed, so that a second run replaces the pods of the first; a pod that failed stays to be looked at.
*/}}
{{- define "httpserver.testPod" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "httpserver.fullname" .context }}-test-{{ .name }}
  namespace: {{ .context.Release.Namespace }}
  labels: {{- include "httpserver.testLabels" .context | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    # It runs once and ends: there is nothing for a probe to find out.
    checkov.io/skip1: CKV_K8S_8=a test pod ends by itself
    checkov.io/skip2: CKV_K8S_9=a test pod serves nobody
spec:
  restartPolicy: Never
  activeDeadlineSeconds: {{ .context.Values.tests.timeoutSeconds }}
  terminationGracePeriodSeconds: 1
  serviceAccountName: {{ include "httpserver.serviceAccountName" .context }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .context.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .context.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .context.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- toYaml .context.Values.podSecurityContext | nindent 4 }}
  containers:
    - name: test
      image: {{ include "httpserver.image" .context | quote }}
      imagePullPolicy: {{ .context.Values.image.pullPolicy }}
      command: [python, -c]
      args:
        - |
          {{- .context.Files.Get (printf "files/tests/%s.py" .script) | required (printf "files/tests/%s.py is missing from the chart" .script) | nindent 10 }}
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
      resources:
        requests: &size {cpu: 100m, memory: 64Mi, ephemeral-storage: 32Mi}
        limits: *size
      securityContext: {{- toYaml .context.Values.securityContext | nindent 8 }}
      {{- if .secret }}
      volumeMounts:
        - name: certificate
          mountPath: /run/certificate
          readOnly: true
  volumes:
    - name: certificate
      secret:
        secretName: {{ .secret }}
        defaultMode: 0440
      {{- end }}
{{- end -}}
