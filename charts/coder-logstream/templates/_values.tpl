{{/* What the values come to. Every template begins with `include "coder-logstream.prepare" .`, which fills in the
defaults that a `--reuse-values` over another chart's release leaves out, and sets .Values.derived. */}}

{{- define "coder-logstream.prepare" -}}
{{- if not (hasKey .Values "derived") -}}
{{- $defaults := .Files.Get "files/defaults.json" | fromJson -}}
{{- $whole := list "labels" "annotations" "podAnnotations" "commonLabels" "resources" "nodeSelector" "affinity" "tolerations" "securityContext" "podSecurityContext" "alsoFrom" "metricsFrom" -}}
{{- include "coder-logstream.fill" (dict "into" .Values "from" $defaults "whole" $whole) -}}
{{- $v := .Values -}}
{{- $args := dict -}}
{{- range $who, $lists := dict "watcher" (list $v.args $v.watcher.args) "shipper" (list $v.args $v.shipper.args) "doctor" (list $v.args $v.watcher.args $v.shipper.args) -}}
{{- $words := list -}}
{{- range $lists -}}{{- range . -}}{{- $words = append $words (toString .) -}}{{- end -}}{{- end -}}
{{- $_ := set $args $who $words -}}
{{- end -}}
{{- $derived := dict "args" $args -}}
{{- $_ := set $v "derived" $derived -}}

{{- $named := $v.namespaces -}}
{{- if kindIs "string" $named -}}{{- $named = splitList "," $named -}}{{- end -}}
{{- with include "coder-logstream.argument" (dict "args" $args.watcher "names" (list "--namespaces" "-n") "join" true) -}}
{{- $named = splitList "," (trimPrefix "=" .) -}}
{{- end -}}
{{- $namespaces := list -}}
{{- range $named -}}{{- with trim (toString .) -}}{{- $namespaces = append $namespaces . -}}{{- end -}}{{- end -}}
{{- $_ := set $derived "namespaces" (uniq $namespaces) -}}
{{- $_ := set $derived "namespaceSelector" (include "coder-logstream.either" (dict "args" $args.watcher "names" (list "--namespace-selector") "value" $v.namespaceSelector)) -}}
{{- $_ := set $derived "labelSelector" (include "coder-logstream.either" (dict "args" $args.watcher "names" (list "--label-selector" "-l") "value" $v.labelSelector)) -}}
{{- $_ := set $derived "fieldSelector" (include "coder-logstream.either" (dict "args" $args.watcher "names" (list "--field-selector" "-f") "value" $v.fieldSelector)) -}}
{{- $_ := set $derived "nodeEvents" (or $v.watcher.nodeEvents (has "--node-events" $args.watcher)) -}}
{{- $_ := set $derived "crashLogLines" (include "coder-logstream.either" (dict "args" $args.watcher "names" (list "--crash-log-lines") "value" $v.watcher.crashLogLines) | int) -}}
{{- $_ := set $derived "prefix" (include "coder-logstream.either" (dict "args" $args.watcher "names" (list "--redis-prefix") "value" $v.redis.prefix)) -}}
{{- $_ := set $derived "url" (include "coder-logstream.either" (dict "args" $args.shipper "names" (list "--coder-url" "-u") "value" $v.url)) -}}
{{- $_ := set $derived "dryRun" (has "--dry-run" $args.shipper) -}}

{{- $metricsPorts := dict -}}
{{- range $role := list "watcher" "shipper" -}}
{{- $address := ternary (print ":" (int $v.metrics.port)) "" (eq true $v.metrics.enabled) -}}
{{- $address = include "coder-logstream.either" (dict "args" (get $args $role) "names" (list "--metrics-addr") "value" $address) -}}
{{- $_ := set $metricsPorts $role (regexFind "[0-9]+$" $address | default "0" | int) -}}
{{- end -}}
{{- $_ := set $derived "metricsPorts" $metricsPorts -}}

{{- $_ := set $derived "bundled" (not (or $v.redis.externalUrl $v.redis.existingSecret)) -}}
{{- $_ := set $derived "keysSecret" ($v.keys.existingSecret | default (print (include "coder-logstream.fullname" .) "-keys")) -}}
{{- $_ := set $derived "peersImage" (eq $v.image.repo "ghcr.io/coder/coder-logstream-kube") -}}
{{- $repo := ternary $defaults.image.repo $v.image.repo (or $derived.peersImage (empty $v.image.repo)) -}}
{{- $reference := printf "%s:%s" $repo ($v.image.tag | default .Chart.AppVersion | toString) -}}
{{- if $derived.peersImage -}}{{- $reference = printf "%s:%s" $repo .Chart.AppVersion -}}{{- end -}}
{{- if $v.image.digest -}}{{- $reference = printf "%s@%s" $repo $v.image.digest -}}{{- end -}}
{{- $_ := set $derived "image" $reference -}}
{{- $_ := set $derived "ca" (or $v.ca.pem $v.ca.existingConfigMap $v.ca.existingSecret) -}}
{{- $_ := set $derived "secretsAccess" ($v.rbac.secretsAccess | default "everywhere") -}}
{{- include "coder-logstream.check" . -}}
{{- end -}}
{{- end -}}

{{/* Set in `into` what only `from` has. Maps named in `whole` are taken or left as they are. */}}
{{- define "coder-logstream.fill" -}}
{{- range $key, $default := .from -}}
{{- $there := get $.into $key -}}
{{- if or (not (hasKey $.into $key)) (kindIs "invalid" $there) -}}
{{- $_ := set $.into $key $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $there) (not (has $key $.whole)) -}}
{{- include "coder-logstream.fill" (dict "into" $there "from" $default "whole" $.whole) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The value that `args` give to a flag with one of these `names`, behind a "="; "" if they do not name it. The last
one counts, or with `join` all of them. */}}
{{- define "coder-logstream.argument" -}}
{{- $found := "" -}}
{{- $next := false -}}
{{- range $word := .args -}}
{{- $word = toString $word -}}
{{- $value := "" -}}
{{- if $next -}}
{{- $value = print "=" $word -}}
{{- $next = false -}}
{{- else -}}
{{- range $name := $.names -}}
{{- if eq $word $name -}}{{- $next = true -}}
{{- else if hasPrefix (print $name "=") $word -}}{{- $value = trimPrefix $name $word -}}
{{- else if and (eq (len $name) 2) (hasPrefix $name $word) (not (hasPrefix "--" $word)) -}}{{- $value = print "=" (trimPrefix $name $word) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $value -}}
{{- $found = ternary (print $found "," (trimPrefix "=" $value)) $value (and (eq true $.join) (ne $found "")) -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* The value of a flag in `args`, or `value`. */}}
{{- define "coder-logstream.either" -}}
{{- $given := include "coder-logstream.argument" . -}}
{{- if $given -}}{{- trimPrefix "=" $given -}}{{- else -}}{{- .value -}}{{- end -}}
{{- end -}}

{{/* The entries of `user` laid over `base`, as JSON; a null takes an entry away. */}}
{{- define "coder-logstream.overlay" -}}
{{- $merged := deepCopy .base -}}
{{- range $key, $value := .user -}}
{{- if kindIs "invalid" $value -}}{{- $_ := unset $merged $key -}}{{- else -}}{{- $_ := set $merged $key $value -}}{{- end -}}
{{- end -}}
{{- toJson $merged -}}
{{- end -}}
