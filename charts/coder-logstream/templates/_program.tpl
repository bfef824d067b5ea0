{{/* The Deployment of a program: (dict "root" . "role" "watcher" or "shipper"). */}}

{{- define "coder-logstream.deployment" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $v := $root.Values -}}
{{- $own := get $v $role -}}
{{- $names := dict "root" $root "component" $role -}}
{{- $metricsPort := get $v.derived.metricsPorts $role -}}
{{- $annotations := dict "coder-logstream/config" (include "coder-logstream.configSum" $root) -}}
{{- if $metricsPort -}}
{{- $annotations = merge $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString $metricsPort) "prometheus.io/path" "/metrics") -}}
{{- end -}}
{{- range list $v.podAnnotations $own.podAnnotations -}}
{{- $annotations = include "coder-logstream.overlay" (dict "base" $annotations "user" .) | fromJson -}}
{{- end -}}
{{- $scaled := or $own.autoscaling.enabled (and (eq $role "shipper") $v.shipper.keda.enabled) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "coder-logstream.fullname" $root }}-{{ $role }}
  labels:
    {{- include "coder-logstream.labels" $names | nindent 4 }}
spec:
  {{- if not $scaled }}
  replicas: {{ int $own.replicas }}
  {{- end }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "coder-logstream.selector" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "coder-logstream.labels" (dict "root" $root "component" $role "more" (list $v.labels $own.labels)) | nindent 8 }}
      annotations:
        {{- toYaml $annotations | nindent 8 }}
    spec:
      serviceAccountName: {{ include (ternary "coder-logstream.watcherAccount" "coder-logstream.plainAccount" (eq $role "watcher")) $root | quote }}
      automountServiceAccountToken: {{ eq $role "watcher" }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ int $own.terminationGracePeriodSeconds }}
      {{- include "coder-logstream.placement" (dict "root" $root "own" $own) | nindent 6 }}
      {{- with include "coder-logstream.affinity" (dict "root" $root "own" $own) }}
      {{- . | trim | nindent 6 }}
      {{- end }}
      topologySpreadConstraints:
        {{- with $own.topologySpreadConstraints | default $v.topologySpreadConstraints }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "coder-logstream.selector" $names | nindent 14 }}
        {{- end }}
      {{- /* No preStop: nobody sends requests to these pods that would have to go elsewhere first, and SIGTERM alone makes
      both programs hand over what they have; a pause before it would only be a pause. */}}
      containers:
        - name: {{ $role }}
          {{- include "coder-logstream.container" (dict "root" $root "own" $own) | nindent 10 }}
          args:
            {{- concat (list "part" $role) (get $v.derived.args $role) | toYaml | nindent 12 }}
          env:
            {{- include "coder-logstream.env" (dict "ours" (include "coder-logstream.programEnv" .) "theirs" (concat ($v.extraEnv | default list) ($own.extraEnv | default list))) | nindent 12 }}
          {{- with concat ($v.extraEnvFrom | default list) ($own.extraEnvFrom | default list) }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - {name: probes, containerPort: {{ int $v.probes.port }}}
            {{- if $metricsPort }}
            - {name: metrics, containerPort: {{ $metricsPort }}}
            {{- end }}
          startupProbe:
            httpGet: {path: /livez, port: probes}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: probes}
            periodSeconds: {{ int $v.probes.livenessPeriodSeconds }}
            timeoutSeconds: 2
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: probes}
            periodSeconds: {{ int $v.probes.readinessPeriodSeconds }}
            timeoutSeconds: 2
          resources:
            {{- with $own.resources | default $v.resources }}
            {{- toYaml . | nindent 12 }}
            {{- else }}
            requests: {cpu: 50m, memory: 128Mi}
            limits: {memory: 512Mi}
            {{- end }}
          volumeMounts:
            {{- include "coder-logstream.volumeMounts" $root | nindent 12 }}
            {{- with concat ($v.volumeMounts | default list) ($own.volumeMounts | default list) }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "coder-logstream.volumes" $root | nindent 8 }}
        {{- with concat ($v.volumes | default list) ($own.volumes | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{- define "coder-logstream.programEnv" -}}
{{- $metricsPort := get .root.Values.derived.metricsPorts .role -}}
{{ include "coder-logstream.sharedEnv" . }}
{{ include (printf "coder-logstream.%sEnv" .role) .root | trim }}
- name: CODER_LOGSTREAM_METRICS_ADDR
  value: {{ ternary (printf ":%d" $metricsPort) "" (ne $metricsPort 0) | quote }}
- name: CODER_LOGSTREAM_PROBE_ADDR
  value: ":{{ int .root.Values.probes.port }}"
{{- end -}}

{{/* What goes with it: a PodDisruptionBudget, and a HorizontalPodAutoscaler. */}}
{{- define "coder-logstream.deploymentsCompany" -}}
{{- $own := get .root.Values .role -}}
{{- $names := dict "root" .root "component" .role -}}
{{- $name := printf "%s-%s" (include "coder-logstream.fullname" .root) .role -}}
{{- if $own.pdb.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels:
    {{- include "coder-logstream.labels" $names | nindent 4 }}
spec:
  maxUnavailable: {{ $own.pdb.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "coder-logstream.selector" $names | nindent 6 }}
{{- end }}
{{- if $own.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels:
    {{- include "coder-logstream.labels" $names | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ int $own.autoscaling.minReplicas }}
  maxReplicas: {{ int $own.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ int $own.autoscaling.targetCPU }}}
{{- end }}
{{- end -}}
