{{/* Where pods leave the restricted Pod Security Standard, as far as the values can lead them: a line for all pods that
leave it at the same points. */}}
{{- define "coder-logstream.unrestricted" -}}
{{- $v := .Values -}}
{{- $plain := dict -}}
{{- $pods := list -}}
{{- range $role := list "watcher" "shipper" -}}
{{- $own := get $v $role -}}
{{- $volumes := concat ($v.volumes | default list) ($own.volumes | default list) -}}
{{- $annotations := $v.podAnnotations -}}
{{- $annotations = include "coder-logstream.overlay" (dict "base" $annotations "user" $own.podAnnotations) | fromJson -}}
{{- $pods = append $pods (dict "name" $role "own" $own "volumes" $volumes "annotations" $annotations) -}}
{{- end -}}
{{- if $v.derived.bundled -}}
{{- $pods = append $pods (dict "name" "valkey" "own" $plain "volumes" list "annotations" ($v.valkey.podAnnotations | default $v.podAnnotations)) -}}
{{- end -}}
{{- if not $v.keys.existingSecret -}}
{{- $pods = append $pods (dict "name" "make-keys" "own" $plain "volumes" list "annotations" $plain) -}}
{{- end -}}
{{- $pods = append $pods (dict "name" "doctor" "own" $v.watcher "volumes" (first $pods).volumes "annotations" $plain) -}}

{{- $points := list -}}
{{- $leavers := dict -}}
{{- range $pod := $pods -}}
{{- $left := include "coder-logstream.unrestrictedPod" (dict "root" $ "pod" $pod) | fromJsonArray | join ", " -}}
{{- if $left -}}
{{- $points = append $points $left | uniq -}}
{{- $_ := set $leavers $left (append (get $leavers $left | default list) $pod.name) -}}
{{- end -}}
{{- end -}}
{{- range $points }}
  {{ get $leavers . | join ", " }}: {{ . }}
{{- end -}}
{{- end -}}

{{/* The points at which one pod leaves it, as JSON: the fields of the standard that a securityContext has, and volumes. */}}
{{- define "coder-logstream.unrestrictedPod" -}}
{{- $about := dict "root" .root "own" .pod.own -}}
{{- $pod := include "coder-logstream.podContext" $about | fromJson -}}
{{- $container := include "coder-logstream.containerContext" $about | fromJson -}}
{{- $left := list -}}
{{- if $container.privileged -}}{{- $left = append $left "privileged" -}}{{- end -}}
{{- if or (not (hasKey $container "allowPrivilegeEscalation")) $container.allowPrivilegeEscalation -}}{{- $left = append $left "allowPrivilegeEscalation" -}}{{- end -}}
{{- if not (and (ternary $container.runAsNonRoot $pod.runAsNonRoot (hasKey $container "runAsNonRoot")) (or $pod.runAsNonRoot (not (hasKey $pod "runAsNonRoot")))) -}}{{- $left = append $left "runAsNonRoot" -}}{{- end -}}
{{- $capabilities := $container.capabilities | default dict -}}
{{- if or (not (has "ALL" ($capabilities.drop | default list))) (without ($capabilities.add | default list) "NET_BIND_SERVICE") -}}{{- $left = append $left "capabilities" -}}{{- end -}}
{{- if not (or $container.seccompProfile $pod.seccompProfile) -}}{{- $left = append $left "seccompProfile" -}}{{- end -}}
{{- if not (has ($container.procMount | default "Default") (list "Default")) -}}{{- $left = append $left "procMount" -}}{{- end -}}
{{- $sysctls := list "kernel.shm_rmid_forced" "net.ipv4.ip_local_port_range" "net.ipv4.ip_unprivileged_port_start" "net.ipv4.tcp_syncookies" "net.ipv4.ping_group_range" "net.ipv4.ip_local_reserved_ports" "net.ipv4.tcp_keepalive_time" "net.ipv4.tcp_fin_timeout" "net.ipv4.tcp_keepalive_intvl" "net.ipv4.tcp_keepalive_probes" "net.ipv4.tcp_rmem" "net.ipv4.tcp_wmem" -}}
{{- range $pod.sysctls -}}
{{- if not (has .name $sysctls) -}}{{- $left = append $left (printf "sysctl %s" .name) -}}{{- end -}}
{{- end -}}
{{- range $context := list $pod $container -}}
{{- if and (hasKey $context "runAsUser") (eq 0 (int $context.runAsUser)) -}}{{- $left = append $left "runAsUser" -}}{{- end -}}
{{- with $context.seccompProfile -}}
{{- if not (has .type (list "RuntimeDefault" "Localhost")) -}}{{- $left = append $left "seccompProfile" -}}{{- end -}}
{{- end -}}
{{- with $context.appArmorProfile -}}
{{- if not (has .type (list "RuntimeDefault" "Localhost")) -}}{{- $left = append $left "appArmorProfile" -}}{{- end -}}
{{- end -}}
{{- with $context.seLinuxOptions -}}
{{- if or .user .role (not (has (.type | default "") (list "" "container_t" "container_init_t" "container_kvm_t" "container_engine_t"))) -}}{{- $left = append $left "seLinuxOptions" -}}{{- end -}}
{{- end -}}
{{- if ($context.windowsOptions | default dict).hostProcess -}}{{- $left = append $left "hostProcess" -}}{{- end -}}
{{- end -}}
{{- range $name, $profile := .pod.annotations -}}
{{- if and (hasPrefix "container.apparmor.security.beta.kubernetes.io/" $name) (not (regexMatch "^(runtime/default|localhost/.*)?$" (toString $profile))) -}}{{- $left = append $left (printf "annotation %s" $name) -}}{{- end -}}
{{- end -}}
{{- range $volume := .pod.volumes -}}
{{- range $kind := without (keys $volume | sortAlpha) "name" "configMap" "csi" "downwardAPI" "emptyDir" "ephemeral" "image" "persistentVolumeClaim" "projected" "secret" -}}
{{- $left = append $left (printf "volume %s (%s)" $volume.name $kind) -}}
{{- end -}}
{{- end -}}
{{- toJson (uniq $left) -}}
{{- end -}}
