{{/* The hook that makes the keys: see templates/make-keys.yaml. */}}

{{- define "coder-logstream.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "coder-logstream.makeKeysPod" -}}
{{- $v := .Values -}}
serviceAccountName: {{ include "coder-logstream.fullname" . }}-make-keys
automountServiceAccountToken: true
enableServiceLinks: false
restartPolicy: Never
{{ include "coder-logstream.placement" (dict "root" . "own" dict) }}
{{- include "coder-logstream.nodeAffinity" (dict "root" . "own" dict) }}
containers:
  - name: make-keys
    {{- include "coder-logstream.container" (dict "root" . "own" dict) | nindent 4 }}
    args:
      - make-keys
      - --secret={{ $v.derived.keysSecret }}
      {{- if $v.derived.bundled }}
      - --valkey-passwords
      {{- end }}
    {{- include "coder-logstream.smallResources" . | nindent 4 }}
{{- end -}}
