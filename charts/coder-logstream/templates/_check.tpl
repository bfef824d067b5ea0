{{/* What the schema cannot see. Each complaint names the value, why, and the remedy. */}}

{{- define "coder-logstream.check" -}}
{{- $v := .Values -}}
{{- $d := $v.derived -}}
{{- $wrong := include "coder-logstream.malformed" . | fromJsonArray -}}
{{- if not $d.url -}}
{{- $wrong = append $wrong "url: the address of Coder must be given; example: --set url=https://coder.example.com" -}}
{{- end -}}
{{- if and (hasSuffix "/coder-logstream-kube" $v.image.repo) (not $d.peersImage) -}}
{{- $wrong = append $wrong (printf "image.repo: %s holds the Go program; mirror the image of coder-logstream and name that one, or leave image.repo and image.tag out" $v.image.repo) -}}
{{- end -}}
{{- if and $d.namespaces $d.namespaceSelector -}}
{{- $wrong = append $wrong "namespaces and namespaceSelector are both given, but either of them alone says which namespaces are watched; keep one" -}}
{{- end -}}
{{- if and $v.redis.externalUrl $v.redis.existingSecret -}}
{{- $wrong = append $wrong "redis.externalUrl and redis.existingSecret are both given; keep one" -}}
{{- end -}}
{{- if gt (len (without (list $v.ca.pem $v.ca.existingConfigMap $v.ca.existingSecret) "")) 1 -}}
{{- $wrong = append $wrong "ca: pem, existingConfigMap and existingSecret are alternatives; keep one" -}}
{{- end -}}
{{- if and $d.ca (or $v.image.sslCertFile $v.image.sslCertDir) -}}
{{- $wrong = append $wrong "ca and image.sslCertFile or image.sslCertDir are both given; keep one" -}}
{{- end -}}
{{- if and (eq $d.secretsAccess "namespaced") (not $d.namespaces) (not $v.rbac.namespaces) -}}
{{- $wrong = append $wrong "rbac.secretsAccess: namespaced needs namespaces or rbac.namespaces, to know in which; example: --set 'rbac.namespaces={coder-workspaces}'" -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) -}}
{{- $wrong = append $wrong "serviceAccount.name: must be given where serviceAccount.create is false" -}}
{{- end -}}
{{- if and $v.shipper.autoscaling.enabled $v.shipper.keda.enabled -}}
{{- $wrong = append $wrong "shipper.autoscaling and shipper.keda are both enabled; keep one" -}}
{{- end -}}
{{- if and $v.shipper.keda.enabled (not $d.bundled) (not $v.redis.externalUrl) (not $v.shipper.keda.redisAddress) -}}
{{- $wrong = append $wrong "shipper.keda.redisAddress: KEDA cannot read the address in redis.existingSecret; example: --set shipper.keda.redisAddress=redis.example.com:6379" -}}
{{- end -}}
{{- if and $v.shipper.keda.enabled (contains "+sentinel://" $v.redis.externalUrl) (not $v.shipper.keda.redisAddress) -}}
{{- $wrong = append $wrong "shipper.keda.redisAddress: KEDA's trigger for one Redis asks no Sentinels; name a Service that leads to the primary; example: --set shipper.keda.redisAddress=redis-primary:6379" -}}
{{- end -}}
{{- if and (or $v.metrics.podMonitor.enabled $v.metrics.serviceMonitor.enabled) (not (or $d.metricsPorts.watcher $d.metricsPorts.shipper)) -}}
{{- $wrong = append $wrong "metrics.podMonitor and metrics.serviceMonitor need something to scrape; example: --set metrics.enabled=true" -}}
{{- end -}}
{{- if and $v.metrics.prometheusRule.enabled (not (and $d.metricsPorts.watcher $d.metricsPorts.shipper)) -}}
{{- $wrong = append $wrong "metrics.prometheusRule: without metrics of watcher and shipper LogstreamAbsent, or LogstreamNoWatcher or LogstreamNoShipper, would fire for ever; example: --set metrics.enabled=true" -}}
{{- end -}}
{{- if and $v.shipper.keda.enabled $v.shipper.keda.prometheus (not $d.metricsPorts.shipper) -}}
{{- $wrong = append $wrong "shipper.keda.prometheus: without metrics of the shipper Prometheus does not know how old the oldest line is; example: --set metrics.enabled=true" -}}
{{- end -}}
{{- if int $v.metrics.port | eq (int $v.probes.port) -}}
{{- $wrong = append $wrong (printf "probes.port: %d is metrics.port, too; the probes need one of their own" (int $v.probes.port)) -}}
{{- end -}}
{{- $prefix := include "coder-logstream.either" (dict "args" $d.args.shipper "names" (list "--redis-prefix") "value" $d.prefix) -}}
{{- if and $d.dryRun (not (hasSuffix "-dry-run" $prefix)) -}}
{{- $wrong = append $wrong (printf "args: --dry-run takes away what waits under redis.prefix, so watcher and shipper need one of their own that ends in -dry-run; example: --set redis.prefix=%s-dry-run --set 'shipper.args={--dry-run}'" (trunc 56 $prefix)) -}}
{{- end -}}
{{- range $role, $args := omit $d.args "doctor" -}}
{{- range $flag, $remedy := dict "--probe-addr" "set probes.port" "--redis-url" "set redis.externalUrl" "--token-key-file" "set keys.existingSecret" -}}
{{- if include "coder-logstream.argument" (dict "args" $args "names" (list $flag)) -}}
{{- $wrong = append $wrong (printf "args: %s of the %s is the chart's to set; %s instead" $flag $role $remedy) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%s\n" (join "\n" (uniq $wrong))) -}}
{{- end -}}
{{- end -}}
