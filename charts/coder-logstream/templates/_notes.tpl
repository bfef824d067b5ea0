{{/* Where the securityContexts and volumes leave the restricted Pod Security Standard, a line each. */}}
{{- define "coder-logstream.unrestricted" -}}
{{- $v := .Values -}}
{{- range $role := list "watcher" "shipper" -}}
{{- $own := get $v $role -}}
{{- $pod := include "coder-logstream.podContext" (dict "root" $ "own" $own) | fromJson -}}
{{- $container := include "coder-logstream.containerContext" (dict "root" $ "own" $own) | fromJson -}}
{{- $left := list -}}
{{- if or (not (hasKey $container "allowPrivilegeEscalation")) (get $container "allowPrivilegeEscalation") -}}{{- $left = append $left "allowPrivilegeEscalation" -}}{{- end -}}
{{- if not (ternary (get $container "runAsNonRoot") (get $pod "runAsNonRoot") (hasKey $container "runAsNonRoot")) -}}{{- $left = append $left "runAsNonRoot" -}}{{- end -}}
{{- range $context := list $pod $container -}}
{{- if and (hasKey $context "runAsUser") (eq 0 (int (get $context "runAsUser"))) -}}{{- $left = append $left "runAsUser" -}}{{- end -}}
{{- end -}}
{{- $capabilities := get $container "capabilities" | default dict -}}
{{- if or (not (has "ALL" (get $capabilities "drop" | default list))) (without (get $capabilities "add" | default list) "NET_BIND_SERVICE") -}}{{- $left = append $left "capabilities" -}}{{- end -}}
{{- $profile := get (get $container "seccompProfile" | default (get $pod "seccompProfile") | default dict) "type" -}}
{{- if not (has $profile (list "RuntimeDefault" "Localhost")) -}}{{- $left = append $left "seccompProfile" -}}{{- end -}}
{{- range concat ($v.volumes | default list) ($own.volumes | default list) -}}
{{- if .hostPath -}}{{- $left = append $left (printf "volume %s (hostPath)" .name) -}}{{- end -}}
{{- end -}}
{{- if $left }}
  {{ $role }}: {{ join ", " (uniq $left) }}
{{- end -}}
{{- end -}}
{{- end -}}
