{{/* What the pods of several components have in common. */}}

{{/* The restricted Pod Security Standard with the user's entries over it: (dict "root" . "own" values of the role). */}}
{{- define "coder-logstream.containerContext" -}}
{{- $base := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "capabilities" (dict "drop" (list "ALL")) "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $user := .own.securityContext | default .root.Values.securityContext -}}
{{- if $user.privileged -}}{{- $_ := unset $base "allowPrivilegeEscalation" -}}{{- end -}}
{{- include "coder-logstream.overlay" (dict "base" $base "user" $user) -}}
{{- end -}}

{{- define "coder-logstream.podContext" -}}
{{- $base := dict "runAsNonRoot" true "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- include "coder-logstream.overlay" (dict "base" $base "user" (.own.podSecurityContext | default .root.Values.podSecurityContext)) -}}
{{- end -}}

{{/* Where a pod may run: (dict "root" . "own" values of the role). */}}
{{- define "coder-logstream.placement" -}}
{{- $v := .root.Values -}}
securityContext:
  {{- include "coder-logstream.podContext" . | fromJson | toYaml | nindent 2 }}
{{- with $v.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.nodeSelector | default $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.tolerations | default $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.priorityClassName | default $v.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Of a pod that stays, all of it: as for placement. */}}
{{- define "coder-logstream.affinity" -}}
{{- with .own.affinity | default .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of a pod that comes and goes, which nodes it may have: what keeps the others apart would leave it without one. */}}
{{- define "coder-logstream.nodeAffinity" -}}
{{- with get (.own.affinity | default .root.Values.affinity | default dict) "nodeAffinity" }}
affinity:
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "coder-logstream.container" -}}
image: {{ .root.Values.derived.image | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "coder-logstream.containerContext" . | fromJson | toYaml | nindent 2 }}
{{- end -}}

{{- define "coder-logstream.smallResources" -}}
resources:
  requests: {cpu: 50m, memory: 64Mi}
  limits: {memory: 256Mi}
{{- end -}}

{{/* Where Redis is, for a role: (dict "root" . "role" name). */}}
{{- define "coder-logstream.redisEnv" -}}
{{- $v := .root.Values -}}
{{- if $v.derived.bundled }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $v.derived.keysSecret | quote }}, key: {{ .role }}-password}
- name: CODER_LOGSTREAM_REDIS_URL
  value: redis://logstream-{{ .role }}:$(REDIS_PASSWORD)@{{ include "coder-logstream.valkeyHost" .root }}:6379/0
{{- else }}
- name: CODER_LOGSTREAM_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ $v.redis.existingSecret | default (print (include "coder-logstream.fullname" .root) "-redis") | quote }}
      key: {{ ternary (get $v.redis (print .role "Key")) "url" (ne $v.redis.existingSecret "") | quote }}
{{- end }}
- name: CODER_LOGSTREAM_REDIS_PREFIX
  value: {{ $v.derived.prefix | quote }}
- name: CODER_LOGSTREAM_TOKEN_KEY_FILE
  value: /etc/coder-logstream/keys/token-key
{{- end -}}

{{/* What both programs read; and Coder's address, which the watcher itself does not: `coder-logstream status`, run in its
pod, says by it whether a workspace belongs to another Coder. */}}
{{- define "coder-logstream.sharedEnv" -}}
{{- $v := .root.Values -}}
- name: CODER_URL
  value: {{ $v.derived.url | quote }}
- name: CODER_LOGSTREAM_LOG_FORMAT
  value: json
- name: CODER_LOGSTREAM_LOG_LEVEL
  value: {{ $v.logLevel | quote }}
- name: CODER_LOGSTREAM_BUDGET_BYTES
  value: {{ int64 $v.budgetBytes | quote }}
{{- include "coder-logstream.redisEnv" . }}
{{- with $v.image.sslCertFile | default (ternary (print "/etc/coder-logstream/ca/" $v.ca.key) "" (not (empty $v.derived.ca))) }}
- name: SSL_CERT_FILE
  value: {{ . | quote }}
{{- end }}
{{- with $v.image.sslCertDir }}
- name: SSL_CERT_DIR
  value: {{ . | quote }}
{{- end }}
{{- if or $v.proxy.httpProxy $v.proxy.httpsProxy }}
{{- range $name, $value := dict "HTTP_PROXY" $v.proxy.httpProxy "HTTPS_PROXY" $v.proxy.httpsProxy "NO_PROXY" (join "," (without (list $v.proxy.noProxy "localhost,127.0.0.1,.svc,.cluster.local,$(KUBERNETES_SERVICE_HOST)") "")) }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
- name: {{ lower $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "coder-logstream.watcherEnv" -}}
{{- $v := .Values -}}
{{- $d := $v.derived -}}
{{- with $d.namespaces }}
- name: CODER_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with $d.namespaceSelector }}
- name: CODER_LOGSTREAM_NAMESPACE_SELECTOR
  value: {{ . | quote }}
{{- end }}
{{- with $d.labelSelector }}
- name: CODER_LABEL_SELECTOR
  value: {{ . | quote }}
{{- end }}
{{- with $d.fieldSelector }}
- name: CODER_FIELD_SELECTOR
  value: {{ . | quote }}
{{- end }}
{{- if $d.nodeEvents }}
- name: CODER_LOGSTREAM_NODE_EVENTS
  value: "true"
{{- end }}
{{- if $d.crashLogLines }}
- name: CODER_LOGSTREAM_CRASH_LOG_LINES
  value: {{ $d.crashLogLines | quote }}
{{- if $v.watcher.crashLogRedact }}
- name: CODER_LOGSTREAM_CRASH_LOG_REDACT_FILE
  value: /etc/coder-logstream/config/redact.txt
{{- end }}
{{- end }}
{{- end -}}

{{- define "coder-logstream.shipperEnv" -}}
{{- if .Values.shipper.wording }}
- name: CODER_LOGSTREAM_WORDING_FILE
  value: /etc/coder-logstream/config/wording.yaml
{{- end }}
{{- end -}}

{{/* A container's environment: (dict "ours" YAML "theirs" list). Each name once: the last entry of theirs, or ours. What
refers to another has to stand behind it, so theirs come behind ours, one that ours refer to in its place, and one of
two of theirs where the first one stood. */}}
{{- define "coder-logstream.env" -}}
{{- $ours := fromYamlArray .ours -}}
{{- $theirs := dict -}}
{{- range .theirs -}}{{- $_ := set $theirs .name . -}}{{- end -}}
{{- $env := list -}}
{{- $placed := list -}}
{{- range $ours -}}
{{- if not (hasKey $theirs .name) -}}
{{- $env = append $env . -}}
{{- else if contains (printf "$(%s)" .name) (toString $ours) -}}
{{- $env = append $env (get $theirs .name) -}}
{{- $placed = append $placed .name -}}
{{- end -}}
{{- end -}}
{{- range .theirs -}}
{{- if not (has .name $placed) -}}
{{- $env = append $env (get $theirs .name) -}}
{{- $placed = append $placed .name -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{- define "coder-logstream.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: token-key, mountPath: /etc/coder-logstream/keys, readOnly: true}
- {name: config, mountPath: /etc/coder-logstream/config, readOnly: true}
{{- if .Values.derived.ca }}
- {name: ca, mountPath: /etc/coder-logstream/ca, readOnly: true}
{{- end }}
{{- end -}}

{{- define "coder-logstream.volumes" -}}
{{- $v := .Values -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: token-key
  secret:
    secretName: {{ $v.derived.keysSecret | quote }}
    items: [{key: token-key, path: token-key}]
- name: config
  configMap:
    name: {{ include "coder-logstream.fullname" . }}-config
{{- if $v.derived.ca }}
- name: ca
  {{- if $v.ca.existingSecret }}
  secret:
    secretName: {{ $v.ca.existingSecret | quote }}
    items: [{key: {{ $v.ca.key | quote }}, path: {{ $v.ca.key | quote }}}]
  {{- else }}
  configMap:
    name: {{ $v.ca.existingConfigMap | default (print (include "coder-logstream.fullname" .) "-ca") | quote }}
    items: [{key: {{ $v.ca.key | quote }}, path: {{ $v.ca.key | quote }}}]
  {{- end }}
{{- end }}
{{- end -}}

{{/* Changes when what a pod reads only at its start has changed. */}}
{{- define "coder-logstream.configSum" -}}
{{- list .Values.shipper.wording .Values.watcher.crashLogRedact .Values.ca.pem .Values.redis.externalUrl | toJson | sha256sum | trunc 16 -}}
{{- end -}}
