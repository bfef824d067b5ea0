{{/* What single values have to look like, as a JSON list of complaints. The schema could refuse them by a pattern, but
would show that pattern instead of an example, and the password in a URL. Each form is a list: the value's name, what was
given ("it" if that must not be shown), the pattern, what it is, an example. */}}

{{- define "coder-logstream.malformed" -}}
{{- $v := .Values -}}
{{- $d := $v.derived -}}
{{/* As in watcher/selectors.py. */}}
{{- $name := `[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?` -}}
{{- $key := print `([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?` $name -}}
{{- $value := printf `\s*(%s)?\s*` $name -}}
{{- $label := printf `(%s\s+(in|notin)\s*\(%s(,%s)*\)|%s\s*(==|=|!=)%s|!?\s*%s)\s*` $key $value $value $key $value $key -}}
{{- $labels := printf `^\s*(%s(,\s*%s)*)?$` $label $label -}}
{{- $field := `[A-Za-z][A-Za-z0-9.\[\]'/_-]*\s*(==|=|!=)\s*([^,=!\\]|\\[,=\\])*` -}}
{{- $fields := printf `^\s*(%s(,\s*%s)*)?$` $field $field -}}
{{- $namespace := `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$` -}}
{{- $duration := `^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$` -}}
{{- $web := `^(?i:https?)://[^/\s]\S*$` -}}

{{- $forms := list -}}
{{- if $d.url -}}
{{- $forms = append $forms (list "url" (ternary "it" $d.url (contains "@" $d.url)) `^(?i:https?)://[^/\s@?#]+(/[^\s@?#]*)?$` "the address of Coder, which begins with http:// or https:// and has no user, query or fragment" "url=https://coder.example.com") -}}
{{- end -}}
{{- range $d.namespaces -}}
{{- $forms = append $forms (list "namespaces" . $namespace "the name of a namespace" "'namespaces={coder-workspaces}'") -}}
{{- end -}}
{{- range $v.rbac.namespaces -}}
{{- $forms = append $forms (list "rbac.namespaces" . $namespace "the name of a namespace" "'rbac.namespaces={coder-workspaces}'") -}}
{{- end -}}
{{- $forms = append $forms (list "namespaceSelector" $d.namespaceSelector $labels "a label selector" "namespaceSelector=team=blue") -}}
{{- $forms = append $forms (list "labelSelector" $d.labelSelector $labels "a label selector" "labelSelector=app=coder-workspace") -}}
{{- $forms = append $forms (list "fieldSelector" $d.fieldSelector $fields "a field selector" "'fieldSelector=metadata.namespace!=kube-system'") -}}
{{- $forms = append $forms (list "image.repo" $v.image.repo `^[^:@\s]*(:[0-9]+/[^:@\s]+)?$` "the name of an image without its tag or digest" "image.repo=registry.example.com/coder-logstream,image.tag=0.1.0") -}}
{{- $forms = append $forms (list "image.digest" $v.image.digest `^(sha256:[0-9a-f]{64})?$` "sha256: with 64 hexadecimal digits" (print "image.digest=sha256:" (sha256sum ""))) -}}
{{- $forms = append $forms (list "ca.pem" (ternary "" "it" (regexMatch `^\s*$|-----BEGIN CERTIFICATE-----` $v.ca.pem)) "^$" "the text of a PEM certificate" "ca.pem=FILE, with --set-file in the place of --set") -}}
{{- $forms = append $forms (list "redis.externalUrl" (ternary "" "it" (regexMatch `^(rediss?(\+sentinel)?://\S+)?$` $v.redis.externalUrl)) "^$" "a redis://, rediss:// (TLS) or redis+sentinel:// URL" "redis.externalUrl=rediss://:PASSWORD@redis.example.com:6380/0") -}}
{{- $forms = append $forms (list "redis.prefix" $d.prefix `^[A-Za-z0-9._-]{1,64}$` "one to 64 letters, digits, '.', '_' and '-'" "redis.prefix=logstream") -}}
{{- $forms = append $forms (list "valkey.persistence.size" $v.valkey.persistence.size `^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?$` "a quantity of Kubernetes" "valkey.persistence.size=2Gi") -}}
{{- range $role := list "watcher" "shipper" -}}
{{- $share := toString (get $v $role).pdb.maxUnavailable -}}
{{- $forms = append $forms (list (print $role ".pdb.maxUnavailable") $share `^[0-9]+%?$` "a number of pods or a percentage" (print $role ".pdb.maxUnavailable=50%")) -}}
{{- end -}}
{{- range $monitor := list "podMonitor" "serviceMonitor" -}}
{{- $forms = append $forms (list (printf "metrics.%s.interval" $monitor) (get $v.metrics $monitor).interval $duration "a duration of Prometheus" (printf "metrics.%s.interval=30s" $monitor)) -}}
{{- end -}}
{{- with $v.metrics.prometheusRule.runbookBase -}}
{{- $forms = append $forms (list "metrics.prometheusRule.runbookBase" . $web "an address, which begins with http:// or https://" "metrics.prometheusRule.runbookBase=https://git.example.com/coder-logstream/blob/main") -}}
{{- end -}}
{{- with $v.shipper.keda.prometheus -}}
{{- $forms = append $forms (list "shipper.keda.prometheus" . $web "the address of Prometheus, which begins with http:// or https://" "shipper.keda.prometheus=http://prometheus.monitoring:9090") -}}
{{- end -}}

{{- $wrong := list -}}
{{- range $forms -}}
{{- if not (regexMatch (index . 2) (index . 1)) -}}
{{- $shown := ternary "it" (printf "%q" (index . 1)) (eq (index . 1) "it") -}}
{{- $wrong = append $wrong (printf "%s: %s is not %s; example: --set %s" (index . 0) $shown (index . 3) (index . 4)) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
