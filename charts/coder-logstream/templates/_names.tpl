{{/* Names and labels. */}}

{{- define "coder-logstream.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters, so that what is derived from it stays within 63. */}}
{{- define "coder-logstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "coder-logstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "coder-logstream.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of what lies outside the release's namespace, where two releases of one name meet. */}}
{{- define "coder-logstream.wideName" -}}
{{- printf "%s-%s" .Release.Namespace (include "coder-logstream.fullname" .) -}}
{{- end -}}

{{- define "coder-logstream.watcherAccount" -}}
{{- .Values.serviceAccount.name | default (print (include "coder-logstream.fullname" .) "-watcher") -}}
{{- end -}}

{{/* Of all pods that talk to no API server. */}}
{{- define "coder-logstream.plainAccount" -}}
{{- .Values.shipper.serviceAccountName | default (print (include "coder-logstream.fullname" .) "-shipper") -}}
{{- end -}}

{{- define "coder-logstream.valkeyHost" -}}
{{- printf "%s-valkey.%s.svc" (include "coder-logstream.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* What a selector goes by: (dict "root" . "component" name). */}}
{{- define "coder-logstream.selector" -}}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: {{ include "coder-logstream.name" .root }}
{{- end -}}

{{/* Of an object: (dict "root" . "component" name "more" (list of maps)). What a selector goes by always wins. */}}
{{- define "coder-logstream.labels" -}}
{{- $labels := dict "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $own := fromYaml (include "coder-logstream.selector" .) -}}
{{- range $labelled := concat (list .root.Values.commonLabels) (.more | default list) (list $own) -}}
{{- range $name, $value := $labelled -}}{{- $_ := set $labels $name (toString $value) -}}{{- end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}
