#!/usr/bin/env python3
"""Makes the files of deploy/ that follow from others, or compares them (--check).

From units.json and settings.json: the Kubernetes bases and overlays. From docs/reference/roles.md,
which the binary makes: roles.json. From the Terraform files: the tables of inputs and outputs in the
modules' README.md, and the table requirement -> resources. Needs Python alone.
With --roles FILE (the output of `florin roles --output json`) every role that exists must have a
unit with the same name and port.
"""
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
UNITS = json.loads((HERE / "units.json").read_text())["units"]
TABLE = json.loads((HERE / "settings.json").read_text())
MODULES = HERE / "aws" / "modules"
HEAD = "# Made by deploy/render.py from deploy/units.json.\n"
WRITTEN = {}
# Subnets of the load balancers, which end TLS for callers.
TRUSTED = {environment: f"10.{net}.0.0/20" for environment, net in (("production", 0), ("staging", 1), ("dr", 2))}


def put(path, text):
    WRITTEN[HERE / path] = text


# --- Kubernetes

def memory(gib):
    return f"{int(gib * 1024)}Mi"


def cpu(vcpu):
    return f"{int(vcpu * 1000)}m"


def scales(unit, size):
    return bool(unit["scaling"]) and size["max"] > size["min"]


def key(name):
    return name.upper().replace("-", "_")


def row_applies(unit, row):
    return row["when"] == "always" or row["when"] in unit["needs"]


def secrets_of(unit):
    """(variable, secret, member) of a unit, in order."""
    found = [(row["name"], row["secret"], row["member"]) for row in TABLE["secrets"] if row_applies(unit, row)]
    return found + [(f"FLORIN_SECRET_{key(what)}", what, "") for what in unit["secrets"] if what in TABLE["vendors"]]


def database_pool(unit):
    """Connections for the service tables: what the unit may have, less the five of the ledger."""
    return unit["connections"] - (5 if "ledger" in unit["needs"] else 0)


def own_settings(unit):
    """Settings that not all units have; {blobs_url} names a bucket of florin-settings."""
    text = ""
    for row in TABLE["settings"]:
        if row["when"] == "always" or not row_applies(unit, row):
            continue
        value = row["value"]
        if value == "{blobs_url}":
            bucket, folder = unit["blobs"].split("/", 1)
            value = f"s3://$(BUCKET_{key(bucket)})/{folder}"
        if value == "{archive_url}":
            value = "s3://$(BUCKET_ARCHIVE)/feed"
        if value == "{public_url}":
            value = "$(FLORIN__SERVER__PUBLIC_URL)"
        if value == "{kafka_url}":
            value = "$(KAFKA_URL)"
        if value == "{database_pool}":
            value = str(database_pool(unit))
        text += f"            - name: {row['name']}\n              value: \"{value}\"\n"
    return f"          env:\n{text}" if text else ""


def deployment(unit):
    size = unit["production"]
    replicas = "" if scales(unit, size) else f"  replicas: {size['desired']}\n"
    roles = "".join(f"\n            - --role\n            - {role}" for role in unit["roles"])
    token = "true" if unit["drives_cluster"] else "false"
    spot = ""
    if unit["name"].startswith("networks-engine"):
        spot = """      # Prefers spot nodes, which are tainted.
      tolerations:
        - key: florin.dev/group
          operator: Equal
          value: networks
          effect: NoSchedule
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              preference:
                matchExpressions:
                  - key: florin.dev/group
                    operator: In
                    values: [networks]
"""
    elif not unit["spot"]:
        spot = """      # Never on spot nodes.
      nodeSelector:
        florin.dev/group: core
"""
    secrets = f"""            - secretRef:
                name: {unit['name']}
""" if secrets_of(unit) else ""
    return HEAD + f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
  labels:
    florin.dev/tables: "{str('database' in unit['needs']).lower()}"
    florin.dev/kafka: "{str('kafka' in unit['needs']).lower()}"
spec:
{replicas}  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: {unit['name']}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {unit['name']}
        app.kubernetes.io/part-of: florin
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8443"
        prometheus.io/scheme: https
    spec:
      serviceAccountName: {unit['name']}
      automountServiceAccountToken: {token}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile:
          type: RuntimeDefault
{spot}      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              app.kubernetes.io/name: {unit['name']}
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              app.kubernetes.io/name: {unit['name']}
      containers:
        - name: florin
          image: florin
          imagePullPolicy: IfNotPresent
          args:
            - serve{roles}
          ports:
            - name: https
              containerPort: 8443
          envFrom:
            - configMapRef:
                name: florin-settings
{secrets}{own_settings(unit)}          resources:
            requests:
              cpu: {cpu(size['vcpu'])}
              memory: {memory(size['memory_gib'])}
            limits:
              memory: {memory(size['memory_gib'])}
          startupProbe:
            httpGet: {{path: /health, port: https, scheme: HTTPS}}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 24
          livenessProbe:
            httpGet: {{path: /health, port: https, scheme: HTTPS}}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 3
          readinessProbe:
            httpGet: {{path: /ready, port: https, scheme: HTTPS}}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 3
          securityContext:
            allowPrivilegeEscalation: false
            privileged: false
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 1Gi
"""


def hpa(unit):
    size = unit["production"]
    metrics = "".join(f"""    - type: Resource
      resource:
        name: {name}
        target:
          type: Utilization
          averageUtilization: {unit['scaling'][name]}
""" for name in ("cpu", "memory") if name in unit["scaling"])
    return HEAD + f"""apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {unit['name']}
  minReplicas: {size['min']}
  maxReplicas: {size['max']}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
  metrics:
{metrics}"""


def network_policy(unit):
    ports = {"database": 5432, "cache": 6379, "kafka": 9096}
    stores = "".join(f"        - {{protocol: TCP, port: {ports[store]}}}\n" for store in unit["needs"] if store in ports)
    api = "        - {protocol: TCP, port: 443}\n"
    if "ledger" in unit["needs"]:
        api += "        # The elected process that commits for all.\n        - {protocol: TCP, port: 7443}\n"
    handed = "        - {protocol: TCP, port: 7443}\n" if "wallets" in unit["roles"] else ""
    inside = "" if unit["entrance"] == "none" else """  ingress:
    # Load balancers and the monitoring host stand in the VPC outside of the cluster.
    - from:
        - ipBlock: {cidr: 10.0.0.0/8}
      ports:
        - {protocol: TCP, port: 8443}
""" + handed
    scrape = """  ingress:
    # No entrance: the monitoring host alone.
    - from:
        - ipBlock: {cidr: 10.0.0.0/8}
      ports:
        - {protocol: TCP, port: 8443}
""" if unit["entrance"] == "none" else inside
    return HEAD + f"""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: {unit['name']}
  policyTypes: [Ingress, Egress]
{scrape}  egress:
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: kube-system
      ports:
        - {{protocol: UDP, port: 53}}
        - {{protocol: TCP, port: 53}}
    # Stores of the database tier, endpoints of AWS, other units by the internal load balancer,
    # vendors: all of them over TLS.
    - to:
        - ipBlock: {{cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}
      ports:
{stores}{api}"""


def external_secret(unit):
    data = "".join(f"""    - secretKey: {variable}
      remoteRef:
        key: {secret}
""" + (f"        property: {member}\n" if member else "") for variable, secret, member in secrets_of(unit))
    return HEAD + f"""apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
  annotations:
    # Overlays put florin/<environment>/<unit>/ before each key, or florin/<environment>/ before shared ones.
    florin.dev/secrets: {','.join(dict.fromkeys(secret for _, secret, _ in secrets_of(unit)))}
spec:
  refreshInterval: 5m
  secretStoreRef:
    kind: ClusterSecretStore
    name: florin
  target:
    name: {unit['name']}
    creationPolicy: Owner
  data:
{data}"""


def base(unit):
    name, files = unit["name"], ["serviceaccount.yaml", "deployment.yaml", "service.yaml", "pdb.yaml", "networkpolicy.yaml"]
    folder = f"kubernetes/base/{name}"
    put(f"{folder}/deployment.yaml", deployment(unit))
    put(f"{folder}/serviceaccount.yaml", HEAD + f"""apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
  namespace: {unit['namespace']}
  annotations:
    eks.amazonaws.com/role-arn: set-by-overlay
automountServiceAccountToken: {'true' if unit['drives_cluster'] else 'false'}
""")
    put(f"{folder}/service.yaml", HEAD + f"""apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {unit['namespace']}
spec:
  selector:
    app.kubernetes.io/name: {name}
  ports:
    - name: https
      port: 8443
      targetPort: https
""")
    put(f"{folder}/pdb.yaml", HEAD + f"""apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {name}
  namespace: {unit['namespace']}
spec:
  maxUnavailable: {'25%' if name == 'networks-engine' else 1}
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
""")
    put(f"{folder}/networkpolicy.yaml", network_policy(unit))
    if scales(unit, unit["production"]):
        files.append("hpa.yaml")
        put(f"{folder}/hpa.yaml", hpa(unit))
    if secrets_of(unit):
        files.append("externalsecret.yaml")
        put(f"{folder}/externalsecret.yaml", external_secret(unit))
    if unit["entrance"] != "none":
        files.append("targetgroupbinding.yaml")
        put(f"{folder}/targetgroupbinding.yaml", HEAD + f"""apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata:
  name: {name}
  namespace: {unit['namespace']}
spec:
  targetType: ip
  targetGroupARN: set-by-overlay
  serviceRef:
    name: {name}
    port: 8443
""")
    if unit["drives_cluster"]:
        files.append("rbac.yaml")
        verbs = "[get, list, watch]" if name == "networks-manager" else "[get, list, watch, create, update, patch, delete]"
        put(f"{folder}/rbac.yaml", HEAD + f"""apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {name}
  namespace: florin-networks
rules:
  - apiGroups: ["", apps, batch, networking.k8s.io, policy]
    resources: [statefulsets, deployments, jobs, services, configmaps, persistentvolumeclaims, networkpolicies, poddisruptionbudgets]
    verbs: {verbs}
  - apiGroups: [""]
    resources: [pods, pods/log, events]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}
  namespace: florin-networks
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {name}
subjects:
  - kind: ServiceAccount
    name: {name}
    namespace: florin
---
# Nodes and storage classes have no namespace; reading them is all that is granted.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: florin-{name}
rules:
  - apiGroups: [""]
    resources: [nodes]
    verbs: [get, list]
  - apiGroups: [storage.k8s.io]
    resources: [storageclasses]
    verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: florin-{name}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: florin-{name}
subjects:
  - kind: ServiceAccount
    name: {name}
    namespace: florin
""")
    listed = "".join(f"  - {file}\n" for file in sorted(files))
    put(f"{folder}/kustomization.yaml", HEAD + f"""apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
{listed}""")


def sizes(units, environment):
    """Patches that give the units the sizes of an environment."""
    docs = []
    for unit in units:
        size = unit[environment]
        replicas = "" if scales(unit, unit["production"]) else f"  replicas: {size['desired']}\n"
        docs.append(f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
spec:
{replicas}  template:
    spec:
      containers:
        - name: florin
          resources:
            requests:
              cpu: {cpu(size['vcpu'])}
              memory: {memory(size['memory_gib'])}
            limits:
              memory: {memory(size['memory_gib'])}
""")
        if scales(unit, unit["production"]):
            docs.append(f"""apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
spec:
  minReplicas: {size['min']}
  maxReplicas: {size['max']}
""")
    return HEAD + "---\n".join(docs)


def replacement(source, kind, name, path):
    return f"""  - source: {{kind: ConfigMap, name: florin-outputs, fieldPath: data.{source}}}
    targets:
      - select: {{kind: {kind}, name: {name}}}
        fieldPaths: ["{path}"]
"""


def vpa(units):
    """Advice on sizes, never acted upon (DEP-047)."""
    put("kubernetes/components/vpa/kustomization.yaml", HEAD + """# Option: advice on sizes; needs the chart vertical-pod-autoscaler of addons/.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
resources:
  - advice.yaml
""")
    put("kubernetes/components/vpa/advice.yaml", HEAD + "---\n".join(f"""apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata:
  name: {unit['name']}
  namespace: {unit['namespace']}
spec:
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {unit['name']}
  updatePolicy:
    updateMode: "Off"
""" for unit in units))


LOCKED = """          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            capabilities:
              drop: [ALL]
"""


def sidecar(component, about, container, units, settings, environment):
    """A component that puts a container beside Florin in each of the units."""
    documents = [f"""  - target: {{kind: Deployment, name: {unit['name']}}}
    path: {unit['name']}.yaml
""" for unit in units]
    put(f"kubernetes/components/{component}/kustomization.yaml", HEAD + f"""{about}apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
{''.join(documents)}""")
    for unit in units:
        told = "".join(f"            - {{name: {name}, value: \"{value}\"}}\n" for name, value in settings)
        env = "".join(f"            - name: {name}\n              {value}\n" for name, value in environment(unit))
        put(f"kubernetes/components/{component}/{unit['name']}.yaml", HEAD + f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {unit['name']}
spec:
  template:
    spec:
      containers:
        - name: florin
          env:
{told}        - name: {container}
          image: set-by-overlay
          env:
{env}          resources:
            requests: {{cpu: 50m, memory: 64Mi}}
            limits: {{memory: 64Mi}}
{LOCKED}""")


def of_secret(unit, key):
    return f"valueFrom: {{secretKeyRef: {{name: {unit['name']}, key: {key}}}}}"


def pooler(units):
    """DEP-071."""
    sidecar("pgbouncer", """# Option (DEP-071): a pooler (1.21 or newer) beside each unit, for its service tables, in session mode,
# since Florin gives settings when it connects. Never for the ledger. The overlay gives the image
# PGBOUNCER_IMAGE, and the secret pooled_url, which `florin aws secrets init` makes.
""", "pgbouncer", units, [("FLORIN__DATABASE__URL", "env:FLORIN_SECRET_POOLED_URL")], lambda unit: [
        ("DATABASE_URL", of_secret(unit, "FLORIN_SECRET_DATABASE_URL")),
        ("POOL_MODE", "value: session"), ("LISTEN_ADDR", "value: 127.0.0.1"), ("LISTEN_PORT", 'value: "6432"'),
        ("SERVER_TLS_SSLMODE", "value: verify-full"), ("DEFAULT_POOL_SIZE", 'value: "4"')])


def logs(units):
    """DEP-120: an agent on each node gives the lines of pods to the groups that Terraform made. Fluent
    Bit's own configuration; the lines stay as they are, so that CloudWatch finds the metrics in them."""
    folder = "kubernetes/components/logs"
    inputs = "".join(f"""
    [INPUT]
        Name              tail
        Tag               {unit['name']}
        Path              /var/log/containers/{unit['name']}-*_{unit['namespace']}_florin-*.log
        multiline.parser  cri
        DB                /state/{unit['name']}.db
        Mem_Buf_Limit     16MB
        Skip_Long_Lines   On
    [OUTPUT]
        Name              cloudwatch_logs
        Match             {unit['name']}
        region            us-west-2
        log_group_name    /florin/${{ENVIRONMENT}}/{unit['name']}
        log_stream_prefix pod/${{NODE}}/
        log_key           log
        auto_create_group Off
        Retry_Limit       10
""" for unit in units)
    put(f"{folder}/kustomization.yaml", HEAD + """apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
resources:
  - agent.yaml
replacements:
  - source: {kind: ConfigMap, name: florin-outputs, fieldPath: data.LOG_AGENT_IMAGE}
    targets:
      - select: {kind: DaemonSet, name: log-agent}
        fieldPaths: ["spec.template.spec.containers.[name=log-agent].image"]
  - source: {kind: ConfigMap, name: florin-outputs, fieldPath: data.ENVIRONMENT}
    targets:
      - select: {kind: DaemonSet, name: log-agent}
        fieldPaths: ["spec.template.spec.containers.[name=log-agent].env.[name=ENVIRONMENT].value"]
  - source: {kind: ConfigMap, name: florin-outputs, fieldPath: data.ROLE_LOG_AGENT}
    targets:
      - select: {kind: ServiceAccount, name: log-agent}
        fieldPaths: ["metadata.annotations.[eks.amazonaws.com/role-arn]"]
""")
    put(f"{folder}/agent.yaml", f"""{HEAD}# Reading the node's logs needs a mount of the node, which no other namespace admits.
apiVersion: v1
kind: Namespace
metadata:
  name: florin-logs
  labels:
    pod-security.kubernetes.io/enforce: privileged
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: deny-all
  namespace: florin-logs
spec:
  podSelector: {{}}
  policyTypes: [Ingress, Egress]
  egress:
    - to:
        - ipBlock: {{cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}
      ports:
        - {{protocol: UDP, port: 53}}
        - {{protocol: TCP, port: 53}}
        - {{protocol: TCP, port: 443}}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: log-agent
  namespace: florin-logs
  annotations:
    eks.amazonaws.com/role-arn: set-by-overlay
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: log-agent
  namespace: florin-logs
data:
  agent.conf: |
    [SERVICE]
        Flush             2
        Log_Level         warn
        Health_Check      On
        HTTP_Server       On
        HTTP_Listen       0.0.0.0
        HTTP_Port         2020
{inputs.lstrip(chr(10))}---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: log-agent
  namespace: florin-logs
  labels:
    app.kubernetes.io/name: log-agent
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: log-agent
  template:
    metadata:
      labels:
        app.kubernetes.io/name: log-agent
    spec:
      serviceAccountName: log-agent
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 30
      # Every node has logs, spot nodes too.
      tolerations:
        - {{operator: Exists}}
      securityContext:
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: log-agent
          image: set-by-overlay
          args: ["--config=/etc/log-agent/agent.conf"]
          env:
            - name: ENVIRONMENT
              value: set-by-overlay
            - name: NODE
              valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}
          livenessProbe:
            httpGet: {{path: /api/v1/health, port: 2020}}
            periodSeconds: 30
          resources:
            requests: {{cpu: 50m, memory: 128Mi}}
            limits: {{memory: 128Mi}}
          securityContext:
            # The node's logs belong to its root.
            runAsUser: 0
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {{drop: [ALL]}}
          volumeMounts:
            - {{name: logs, mountPath: /var/log, readOnly: true}}
            - {{name: config, mountPath: /etc/log-agent, readOnly: true}}
            - {{name: state, mountPath: /state}}
      volumes:
        - name: logs
          hostPath: {{path: /var/log, type: Directory}}
        - name: config
          configMap: {{name: log-agent}}
        - name: state
          emptyDir: {{sizeLimit: 64Mi}}
""")


OPTIONS = ("vault", "cert-manager", "pgbouncer", "monitoring", "vpa", "logs")
MIRRORED = {"VAULT_IMAGE": "vault", "PGBOUNCER_IMAGE": "pgbouncer", "PROMETHEUS_IMAGE": "prometheus", "ALERTMANAGER_IMAGE": "alertmanager", "LOG_AGENT_IMAGE": "log-agent"}


def overlay(environment, suffix="", which=None, options=()):
    units = which
    folder = f"kubernetes/overlays/{environment}{suffix}"
    sizing = "staging" if environment == "staging" else "production"
    # The image of all, then what differs by unit.
    rules = """  - source: {kind: ConfigMap, name: florin-outputs, fieldPath: data.EFS_ID}
    targets:
      - select: {kind: StorageClass, name: efs}
        fieldPaths: ["parameters.fileSystemId"]
  - source: {kind: ConfigMap, name: florin-outputs, fieldPath: data.CONTAINER_IMAGE}
    targets:
      - select: {kind: Deployment}
        fieldPaths: ["spec.template.spec.containers.[name=florin].image"]
"""
    outputs = [f"ENVIRONMENT={environment}", "EFS_ID=fs-00000000000000000", "CONTAINER_IMAGE=111122223333.dkr.ecr.us-west-2.amazonaws.com/florin@sha256:" + "0" * 64]
    for unit in units:
        name = unit["name"]
        rules += replacement(f"ROLE_{key(name)}", "ServiceAccount", name, "metadata.annotations.[eks.amazonaws.com/role-arn]")
        outputs.append(f"ROLE_{key(name)}=arn:aws:iam::111122223333:role/florin-{environment}-sa-{name}")
        if unit["entrance"] != "none":
            rules += replacement(f"TARGETS_{key(name)}", "TargetGroupBinding", name, "spec.targetGroupARN")
            outputs.append(f"TARGETS_{key(name)}=arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/{name}-blue/0000000000000000")
    # Secrets of the recovery region are replicas of production's, under their names; the database's
    # URLs of that region are members of their own.
    home = "production" if environment == "dr" else environment
    def place(unit, secret):
        return f"florin/{home}/{secret}" if secret.startswith("shared/") else f"florin/{home}/{unit['name']}/{secret}"
    secrets = "".join(f"""  - target: {{kind: ExternalSecret, name: {unit['name']}}}
    patch: |-
""" + "".join(f"""      - op: replace
        path: /spec/data/{at}/remoteRef/key
        value: {place(unit, secret)}
""" + (f"""      - op: replace
        path: /spec/data/{at}/remoteRef/property
        value: {'dr_' + member}
""" if environment == "dr" and secret == "db" else "") for at, (_, secret, member) in enumerate(secrets_of(unit))) for unit in units if secrets_of(unit))
    resources = "".join(f"  - ../../base/{unit['name']}\n" for unit in units)
    components = "components:\n" + "".join(f"  - ../../components/{name}\n" for name in options) if options else ""
    if options:
        outputs += [f"{name}=111122223333.dkr.ecr.us-west-2.amazonaws.com/mirror/{image}@sha256:" + "0" * 64 for name, image in MIRRORED.items()]
        outputs += [f"ROLE_LOG_AGENT=arn:aws:iam::111122223333:role/florin-{environment}-sa-log-agent"]
        outputs += ["ROLE_VAULT=arn:aws:iam::111122223333:role/florin-production-sa-vault"]
    # Options bring containers and secrets of their own.
    beside = []
    if "pgbouncer" in options:
        beside.append(("database", "pgbouncer", "PGBOUNCER_IMAGE", [("FLORIN_SECRET_POOLED_URL", "florin/{home}/{unit}/db", "pooled_url")]))
    for need, container, output, rows in beside:
        concerned = [unit for unit in units if need in unit["needs"]]
        rules += f"  - source: {{kind: ConfigMap, name: florin-outputs, fieldPath: data.{output}}}\n    targets:\n" + "".join(f"""      - select: {{kind: Deployment, name: {unit['name']}}}
        fieldPaths: ["spec.template.spec.containers.[name={container}].image"]
""" for unit in concerned)
        secrets += "".join(f"""  - target: {{kind: ExternalSecret, name: {unit['name']}}}
    patch: |-
""" + "".join(f"""      - op: add
        path: /spec/data/-
        value: {{secretKey: {variable}, remoteRef: {{key: {path.format(home=home, unit=unit['name'])}, property: {member}}}}}
""" for variable, path, member in rows) for unit in concerned)
    put(f"{folder}/sizes.yaml", sizes(units, sizing))
    put(f"{folder}/outputs.env.example", "# Made by deploy/render.py; deploy.sh writes outputs.env from Parameter Store.\n" + "\n".join(outputs) + "\n")
    plain = "".join(f"      - {row['name']}={row['value']}\n" for row in TABLE["settings"] if row["when"] == "always" and not row["value"].startswith("{"))
    example = {"public_url": "https://api.example.com"}
    told = [f"{row['name']}={example[row['value'].strip('{}')]}" for row in TABLE["settings"] if row["when"] == "always" and row["value"].strip("{}") in example]
    told += [f"FLORIN__GATEWAY__UPSTREAMS=wallets=https://wallets.internal.example.com"]
    # Brokers of the recovery region are made at failover; until then topics stay inside a process.
    told += ["KAFKA_URL=" + ("" if environment == "dr" else "kafkas://b-1.example.com:9096,b-2.example.com:9096,b-3.example.com:9096")]
    told += [f"BUCKET_{key(bucket)}=florin-{environment}-{bucket}-00000000" for bucket in ("archive", "blobs", "documents", "networks")]
    put(f"{folder}/settings.env.example", "# Made by deploy/render.py; deploy.sh writes settings.env from Parameter Store.\n" + "\n".join(told) + "\n")
    put(f"{folder}/kustomization.yaml", HEAD + f"""apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
labels:
  - pairs:
      florin.dev/environment: {environment}
resources:
  - ../../base/system
{resources}{components}configMapGenerator:
  - name: florin-outputs
    namespace: florin
    envs: [outputs.env]
    options:
      disableNameSuffixHash: true
      annotations:
        florin.dev/about: outputs of Terraform, by deploy.sh
  - name: florin-settings
    namespace: florin
    envs: [settings.env]
    literals:
      - FLORIN__ENVIRONMENT={home}
      - FLORIN__SERVER__TRUSTED_PROXIES={TRUSTED[environment]}
{plain}patches:
  - path: sizes.yaml
{secrets}replacements:
{rules}""")


def built_roles():
    page = (HERE.parent / "docs" / "reference" / "roles.md").read_text()
    return re.findall(r"^\| `([a-z-]+)` \| \d+ \|", page, re.M)


# DEP-149.
def kubernetes():
    served = [unit for unit in UNITS if unit["platform"] != "ec2"]
    for unit in served:
        base(unit)
    # Overlays run what the program has; bases exist for all units.
    roles = built_roles()
    put("roles.json", json.dumps({"about": "Roles that the program has, made by deploy/render.py from docs/reference/roles.md.", "roles": roles}, indent=2) + "\n")
    on_eks = [unit for unit in served if unit["platform"] == "eks" and set(unit["roles"]) <= set(roles)]
    for environment in ("staging", "production", "dr"):
        overlay(environment, which=on_eks)
    # Both renderings are always built: everything on EKS must be possible too.
    overlay("production", "-all-eks", served, OPTIONS)
    vpa(served)
    logs(served)
    pooler([unit for unit in served if "database" in unit["needs"]])


# --- Terraform's tables

def blocks(text, kind):
    """Blocks `kind "a" "b" {` of a file, with the comment lines before each."""
    for match in re.finditer(rf'((?:^#[^\n]*\n)*)^{kind} "([^"]+)"(?: "([^"]+)")? {{\n(.*?)^}}', text, re.S | re.M):
        yield match.group(1), match.group(2), match.group(3), match.group(4)


def attribute(block, name):
    match = re.search(rf'^  {name}\s*= (.+)$', block, re.M)
    return match.group(1).strip().strip('"') if match else ""


def numbers(comment, block):
    found = re.findall(r"DEP-(\d{3})", comment)
    for value in re.findall(r"\bDEP\s*= *([^\n]*)", block):
        found += re.findall(r"\b(\d{3})\b", value)
        if "each.value.dep" in value or "tier_dep" in value:
            found.append("by-member")
    return found


def readmes():
    for module in sorted(path for path in MODULES.iterdir() if path.is_dir()):
        about = re.match(r"# (.*?)\n\n", (module / "main.tf").read_text(), re.S).group(1).replace("\n# ", " ")
        inputs = [(name, attribute(block, "description"), "default" in block)
                  for _, name, _, block in blocks((module / "variables.tf").read_text(), "variable")]
        outputs = [(name, attribute(block, "description")) for _, name, _, block in blocks((module / "outputs.tf").read_text(), "output")]
        text = f"# `{module.name}`\n\n{about}\n\nMade by `deploy/render.py`.\n\n| input | meaning | must be given |\n|---|---|---|\n"
        text += "".join(f"| `{name}` | {about} | {'' if given else 'yes'} |\n" for name, about, given in inputs)
        text += "\n| output | meaning |\n|---|---|\n" + "".join(f"| `{name}` | {about} |\n" for name, about in outputs)
        put(f"aws/modules/{module.name}/README.md", text)


def requirement_table():
    by_number, untagged = {}, []
    for file in sorted((HERE / "aws").rglob("*.tf")):
        if ".terraform" in file.parts or file.name.startswith("zz_") or "production" in file.parts:
            continue
        where = str(file.relative_to(HERE / "aws").parent).replace("modules/", "")
        text = file.read_text()
        for comment, kind, name, block in blocks(text, "resource"):
            found = numbers(comment, block)
            if "by-member" in found:
                found = [n for n in found if n != "by-member"] + re.findall(r'(?:dep\s*=\s*"|= "0)([\d ]+)"', text) + re.findall(r'dep = "([\d ]+)"', text)
                found = [n for part in found for n in re.findall(r"\b\d{3}\b", part)]
            if not found:
                untagged.append(f"{where}: {kind}.{name}")
            for number in found:
                by_number.setdefault(number, set()).add(f"`{where}` {kind.removeprefix('aws_')}.{name}")
    if untagged:
        sys.exit("resources without a requirement:\n  " + "\n  ".join(untagged))
    text = "# Requirements and the resources that meet them\n\nMade by `deploy/render.py` from the tags and comments of the resources.\n\n| DEP | resources |\n|---|---|\n"
    for number in sorted(by_number):
        text += f"| {number} | {'; '.join(sorted(by_number[number]))} |\n"
    put("aws/REQUIREMENTS.md", text)


def compare_roles(path):
    units = {role: unit for unit in UNITS for role in unit["roles"]}
    wrong = []
    for role in json.loads(Path(path).read_text()):
        unit = units.get(role["name"])
        if unit is None:
            wrong.append(f"role {role['name']} has no unit")
        elif unit["port"] != role["port"]:
            wrong.append(f"role {role['name']}: port {role['port']}, units.json says {unit['port']}")
    if wrong:
        sys.exit("units.json and the binary differ:\n  " + "\n  ".join(wrong))


def main():
    arguments = sys.argv[1:]
    if "--roles" in arguments:
        compare_roles(arguments[arguments.index("--roles") + 1])
        return
    kubernetes()
    readmes()
    requirement_table()
    stale = [path for path, text in WRITTEN.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        if stale:
            sys.exit("not what render.py makes:\n  " + "\n  ".join(str(path.relative_to(HERE)) for path in stale))
        return
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(WRITTEN[path])
    print(f"{len(stale)} of {len(WRITTEN)} files written")


main()
