#!/usr/bin/env python3
"""Checks of deploy/ that need no cloud: checks.py NAME [FILE...].

  roots                staging and production differ in values only; no foreign source
  pipelines            build specifications and workflow: form, order, least rights, sound shell
  addons               charts of the cluster are pinned
  budget NAME FILE     the budget follows from the estimate of `florin aws cost --output json`
  metrics              every metric of rules, dashboards and alarms is one that the binary has
  grafana              dashboards have what Grafana needs to load them
  iam FILE.json        policies of a plan or a state against least privilege
  sizes PLAN.json PLAN.json   staging's plan has every unit of production's, smaller
  kubernetes FILE...   rendered manifests: probes, contexts, budgets, policies, own resource kinds
Prints what is wrong and exits 1.
"""
import fnmatch
import json
import re
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
AWS = DEPLOY / "aws"
REPO = DEPLOY.parent
WRONG = []


def expect(ok, message):
    if not ok:
        WRONG.append(message)


# --- roots (DEP-148)

def roots():
    for name in ("variables.tf", "outputs.tf", "versions.tf"):
        one, two = (AWS / "environments" / e / name for e in ("staging", "production"))
        expect(one.read_text() == two.read_text(), f"{name} of staging and production differ")
    texts = [(AWS / "environments" / e / "main.tf").read_text() for e in ("staging", "production")]
    values = [set(re.findall(r"^  (\w+) +=", text, re.M)) for text in texts]
    only = (values[0] ^ values[1]) - {"failover"}
    expect(not only, f"values given in one environment only: {sorted(only)}")
    # Only wiring's values: no resource stands in a root.
    for text in texts:
        expect(not re.search(r"^(resource|data) ", text, re.M), "a resource in a root")
        expect(text.count('module "') == 1, "a root has one module, platform")
    # DEP-015, DEP-052, DEP-113: no other provider, no registry module, no service that is left out.
    for file in AWS.rglob("*.tf"):
        text = file.read_text()
        for source in re.findall(r'^ +source += "([^"]+)"', text, re.M):
            expect(source.startswith(("./", "../")) or source == "hashicorp/aws", f"{file.name}: source {source}")
        left_out = re.search(r'resource "aws_(api_gateway|apigatewayv2|sfn|appmesh|iam_user|iam_access_key|key_pair)\w*"', text)
        expect(not left_out, f"{file}: {left_out and left_out.group(1)}")
    # DEP-099, DEP-094: no variable for a password, token or registry login.
    for file in AWS.rglob("variables.tf"):
        wrong = re.findall(r'variable "(\w*(?:password|token|api_key|login)\w*)"', file.read_text())
        expect(not wrong, f"{file}: {wrong}")
    # DEP-017: cost and access are told apart by these.
    tags = (AWS / "environments" / "production" / "versions.tf").read_text()
    for tag in ("Project", "Environment", "ManagedBy", "Application", "Owner", "Team", "CostCenter"):
        expect(re.search(rf"^ +{tag} +=", tags, re.M), f"DEP-017: no default tag {tag}")
    # DEP-133: staging sleeps at night and takes spot capacity.
    expect("night_schedule       = true" in texts[0] and "ecs_spot             = true" in texts[0], "DEP-133: staging")
    # DEP-107, DEP-108: paths of the web ACL's rules are paths of the program.
    acl = (AWS / "modules" / "edge" / "acl" / "main.tf").read_text()
    routes = json.loads((DEPLOY.parent / "docs" / "reference" / "openapi.json").read_text())["paths"]
    # Rooms to come, and the aliases of the shadow ledger at the root.
    to_come = {"/api/v1/uploads", "/api/v1/transactions/batch", "/events"}
    large = set(re.findall(r'"(/[^"]+)"', re.search(r"large = \[(.*?)\]", acl, re.S).group(1)))
    expect(len(large) > 5, "DEP-108: paths of large bodies")
    for path in large - to_come:
        expect(any(r.startswith(path) for r in routes), f"DEP-108: no route begins with {path}")
    for path in ("/api/v1/ledger/transfers", "/api/v1/ledger/import", "/api/v1/shadow/events/batch"):
        expect(path in large, f"DEP-108: batches go to {path}")
    expect('path = "/api/v1/auth/"' in acl and any(r.startswith("/api/v1/auth/") for r in routes), "DEP-107: log-in")
    # DEP-098, DEP-148: the guides' names exist as outputs.
    outputs = (AWS / "environments" / "production" / "outputs.tf").read_text()
    for name in ("application_url", "cloudwatch_dashboard_url", "grafana_workspace_endpoint", "rds_endpoint", "redis_endpoint", "s3_bucket_name", "kms_key_id"):
        expect(f'output "{name}"' in outputs, f"DEP-148: output {name}")
    inputs = (AWS / "platform" / "variables.tf").read_text()
    for name in ("aws_region", "environment", "platform_name", "app_cpu", "app_memory", "app_desired_count", "app_min_capacity", "app_max_capacity", "placement", "data_residency", "monitoring", "pooler"):
        expect(f'variable "{name}"' in inputs, f"DEP-148: input {name}")
    # DEP-145: the rule that a plan is refused by.
    expect("contains(var.data_residency, region)" in inputs, "DEP-145")
    # DEP-014: examples name other pairs of regions.
    example = (AWS / "environments" / "production" / "terraform.tfvars.example").read_text()
    expect("sa-east-1" in example and "ap-south-1" in example, "DEP-014: examples of other regions")


# --- budgets (DEP-132): 1.15 times the estimate, rounded up to 100

def budget(environment, path):
    estimate = json.loads(Path(path).read_text())["totalUsd"]
    wanted = -(-estimate * 115 // 10_000) * 100
    text = (AWS / "environments" / environment / "main.tf").read_text()
    found = int(re.search(r"budget_monthly_usd = (\d+)", text).group(1))
    # The contract's own figures came from an earlier estimate: a little more is no mistake.
    expect(wanted <= found <= wanted * 11 // 10, f"DEP-132: budget of {environment} is {found}, 1.15 times {estimate} rounded up is {wanted}")
    print(f"  {environment}: estimate {estimate}, budget {found}")


# --- metrics (docs/reference/metrics.md is made from the binary)

HISTOGRAM = ("_bucket", "_sum", "_count")
# Measured by Prometheus itself, by our own rules, and by `florin aws check`.
OTHERS = {"up", "florin:requests:rate5m", "florin:errors:share5m", "florin:server_errors:share5m", "aws_check_bad", "aws_check_secret_age_days"}
WORDS = {"sum", "by", "rate", "increase", "max", "le", "and", "or", "histogram_quantile", "without", "avg", "min", "on", "instance", "channel", "state", "outcome", "code", "currency", "accepted", "unit"}


def known_metrics():
    page = (DEPLOY.parent / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.M)
    names = set(OTHERS)
    for name, kind in rows:
        names.update([name + s for s in HISTOGRAM] if kind == "histogram" else [])
        names.add(name)
    return names


def metrics_of(expression):
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(by|without|on)\s*\([^)]*\)", " ", bare)
    return {w for w in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)} - WORDS


def metrics():
    known, count = known_metrics(), 0
    rules = (DEPLOY / "prometheus" / "rules.yml").read_text()
    found = [("rules.yml", e) for e in re.findall(r"^\s+expr: (.+)$", rules, re.M)]
    for board in sorted((DEPLOY / "grafana").glob("*.json")):
        panels = json.loads(board.read_text())["panels"]
        found += [(board.name, t["expr"]) for p in panels for t in p["targets"]]
    for where, expression in found:
        for name in metrics_of(expression):
            count += 1
            expect(name in known, f"{where}: there is no metric {name}")
    alarms = (AWS / "modules" / "observability" / "alarms.tf").read_text()
    names = re.findall(r'metric = "([a-z][a-z_]+)", (?:above|statistic)', alarms)
    boards = (AWS / "modules" / "observability" / "dashboards.tf").read_text()
    names += re.findall(r"^    ([a-z][a-z_]+)\s+= \"(?:wallets|workers)\"$", boards, re.M)
    expect(len(names) > 10, "the alarms' metrics were not found")
    # DEP-121, DEP-127: an alarm over something that nobody sends never rings.
    sent = set(re.findall(r'^\s+\(?"([a-z_]+)",', (REPO / "crates" / "platform" / "src" / "telemetry" / "emf.rs").read_text().split("const METRICS")[1].split("];")[0], re.M))
    sent |= set(re.findall(r'"(aws_check_[a-z_]+)"', "".join(path.read_text() for path in (REPO / "crates" / "app" / "src" / "aws" / "check").glob("*.rs"))))
    expect(len(sent) > 20, "the metrics that are sent were not found")
    for name in names:
        count += 1
        expect(name in sent, f"observability: nobody sends {name} to CloudWatch")
    expect(count > 50, f"only {count} metrics were looked at")


# --- Grafana

def grafana():
    seen = set()
    for board in sorted((DEPLOY / "grafana").glob("*.json")):
        value = json.loads(board.read_text())
        for member in ("uid", "title", "panels", "schemaVersion", "templating"):
            expect(member in value, f"{board.name}: no {member}")
        expect(value["uid"] not in seen, f"{board.name}: uid taken")
        seen.add(value["uid"])
        ids = [p["id"] for p in value["panels"]]
        expect(len(ids) == len(set(ids)), f"{board.name}: two panels with one id")
        for panel in value["panels"]:
            expect({"type", "title", "gridPos", "targets", "datasource"} <= panel.keys(), f"{board.name}: panel {panel.get('title')} is incomplete")
    expect(len(seen) >= 3, "three dashboards at least")


# --- IAM (D1)

def planned(path):
    def walk(module):
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from walk(child)
    plan = json.loads(Path(path).read_text())
    # A plan, or the state after it, in which all policies are known.
    return list(walk((plan.get("planned_values") or plan["values"])["root_module"]))


def as_list(value):
    return value if isinstance(value, list) else [value]


def iam(path):
    # DEP-013, DEP-039, DEP-055: no star, no trust without a condition, no key of a person.
    allowed = re.findall(r'"([a-z0-9]+:[A-Za-z*]+)"', (AWS / "policies" / "star-allowed.toml").read_text())
    policies = roles = 0
    for resource in planned(path):
        values, address = resource.get("values", {}), resource["address"]
        if resource["type"] == "aws_iam_role" and values.get("assume_role_policy"):
            roles += 1
            for statement in json.loads(values["assume_role_policy"])["Statement"]:
                service = statement["Principal"].get("Service", "")
                expect("Condition" in statement or service == "ec2.amazonaws.com", f"{address}: trust without a condition")
                expect("*" not in as_list(statement["Principal"].get("AWS", "")), f"{address}: trusts everybody")
        if resource["type"] == "aws_iam_role_policy_attachment":
            arn = values.get("policy_arn") or ""
            expect(not re.search(r"FullAccess|PowerUser|AdministratorAccess", arn), f"{address}: {arn}")
        if resource["type"] in ("aws_iam_user", "aws_iam_access_key", "aws_key_pair"):
            expect(False, f"{address}: nobody has a long-lived key (DEP-013, DEP-029)")
        if resource["type"] == "aws_iam_policy" and values.get("policy"):
            policies += 1
            for statement in json.loads(values["policy"])["Statement"]:
                if statement["Effect"] == "Deny":
                    continue
                # DEP-013: what a deployment may do everywhere, it may do in the platform's regions alone, service by service; the boundary names no service and stands over all.
                condition = json.dumps(statement.get("Condition", {}))
                everywhere = "*" in as_list(statement.get("Resource", ""))
                expect(not everywhere or "aws:RequestedRegion" in condition, f"{address}: {statement['Sid']}: on everything, in any region")
                expect(all(not re.fullmatch(r"\*|[a-z0-9-]+:\*", a) for a in as_list(statement["Action"])) or values["name"].endswith("-boundary"), f"{address}: {statement['Sid']}: every action")
        if resource["type"] == "aws_iam_role_policy" and values.get("policy"):
            policies += 1
            for statement in json.loads(values["policy"])["Statement"]:
                for action in as_list(statement["Action"]):
                    expect("*" not in action, f"{address}: {action} is a star")
                    if "*" in as_list(statement["Resource"]):
                        expect(any(fnmatch.fnmatchcase(action, a) for a in allowed), f"{address}: {action} on everything")
                    if action == "iam:PassRole":
                        condition = json.dumps(statement.get("Condition", {}))
                        expect("iam:PassedToService" in condition, f"{address}: PassRole to any service")
                unit = values.get("name") == "run" and "workers" in address
                if unit:
                    expect(not any("Delete" in a or "Bypass" in a for a in as_list(statement["Action"])), f"{address}: workers delete nothing")
    # A whole environment has hundreds of resources; fewer is an example.
    expect(roles > 20 or len(planned(path)) < 100, f"only {roles} roles were seen")
    # Policies whose resources are not known before they are made are not in a plan.
    print(f"  looked at {roles} roles and {policies} policies")


def sizes(staging, production):
    def tasks(path):
        return {r["values"]["family"].split("-", 2)[2]: r["values"] for r in planned(path) if r["type"] == "aws_ecs_task_definition" and r.get("values", {}).get("family")}
    small, large = tasks(staging), tasks(production)
    expect(small.keys() == large.keys() and len(small) > 5, "DEP-012: both environments run the same units")
    for unit in small.keys() & large.keys():
        expect(int(small[unit]["cpu"]) <= int(large[unit]["cpu"]), f"{unit} is larger in staging")
    kinds = [{r["type"] for r in planned(p)} for p in (staging, production)]
    missing = {k for k in kinds[1] - kinds[0] if k not in ("aws_rds_global_cluster", "aws_appautoscaling_policy")}
    expect(not missing, f"DEP-012: production has resources of kinds that staging lacks: {sorted(missing)}")


# --- Kubernetes (B2, DEP-149)

def kubernetes(paths):
    # DEP-149, DEP-104: see part B2 of the contract.
    import jsonschema
    import yaml

    schemas = {s["kind"]: s for s in (json.loads(p.read_text()) for p in (DEPLOY / "kubernetes" / "schemas").glob("*.json"))}
    for path in paths:
        documents = [d for d in yaml.safe_load_all(Path(path).read_text()) if d]
        by = {}
        for d in documents:
            by.setdefault(d["kind"], {})[d["metadata"]["name"]] = d
            if d["kind"] in schemas:
                for error in jsonschema.Draft202012Validator(schemas[d["kind"]]).iter_errors(d):
                    expect(False, f"{path}: {d['kind']} {d['metadata']['name']}: {error.message}")
        name = Path(path).stem
        units = {u["name"]: u for u in json.loads((DEPLOY / "units.json").read_text())["units"]}
        least = 18 if name.endswith("all-eks") else 3
        expect(len(by.get("Deployment", {})) >= least, f"{name}: deployments are missing")
        for unit, d in by.get("Deployment", {}).items():
            pod = d["spec"]["template"]["spec"]
            container = pod["containers"][0]
            security = container["securityContext"]
            say = lambda ok, what, unit=unit: expect(ok, f"{name}: {unit}: {what}")
            say(pod["securityContext"]["runAsUser"] == 65532 and pod["securityContext"]["runAsNonRoot"], "not as uid 65532")
            say(security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"] and security["capabilities"]["drop"] == ["ALL"], "container is not locked down")
            say(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile")
            say(container["readinessProbe"]["httpGet"]["path"] == "/ready" and container["livenessProbe"]["httpGet"]["path"] == "/health", "wrong probes")
            say(all(container[p]["httpGet"]["scheme"] == "HTTPS" for p in ("readinessProbe", "livenessProbe", "startupProbe")), "probes without TLS")
            start = container["startupProbe"]
            say(start["periodSeconds"] * start["failureThreshold"] == 120, "startup may take 120 s")
            resources = container["resources"]
            say(resources["limits"] == {"memory": resources["requests"]["memory"]}, "memory limit = request, no CPU limit")
            say(pod["terminationGracePeriodSeconds"] == 60, "60 s to stop")
            say("@sha256:" in container["image"], "image is not given by digest")
            say(pod["automountServiceAccountToken"] == (unit in ("networks-engine", "networks-manager")), "token is mounted without need")
            say(len(pod["topologySpreadConstraints"]) == 2, "not spread over zones and nodes")
            say(unit in by["PodDisruptionBudget"] and unit in by["NetworkPolicy"] and unit in by["ServiceAccount"], "no budget, policy or account of its own")
            say(by["ServiceAccount"][unit]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::"), "no role")
            # What the unit needs is told to it, by reference where it is a secret.
            told = {e["name"]: e.get("value", "") for e in container.get("env", [])}
            for need, setting in (("database", "FLORIN__DATABASE__URL"), ("ledger", "FLORIN__LEDGER__URL"), ("cache", "FLORIN__CACHE__URL")):
                wanted = need in units[unit]["needs"]
                say(wanted == told.get(setting, "").startswith("env:FLORIN_SECRET_"), f"{setting} is {told.get(setting)}")
            say(("blobs" in units[unit]["needs"]) == told.get("FLORIN__BLOBS__URL", "").startswith("s3://$(BUCKET_"), "bucket of blobs")
            # DEP-089
            say(("archive" in units[unit]["needs"]) == (told.get("FLORIN__ARCHIVE__URL") == "s3://$(BUCKET_ARCHIVE)/feed"), "archive of the feed")
            given = {row["secretKey"] for row in by.get("ExternalSecret", {}).get(unit, {"spec": {"data": []}})["spec"]["data"]}
            asked = {value.removeprefix("env:") for value in told.values() if value.startswith("env:")} | {"FLORIN_SECRET_" + key for key in ("SIGNING_KEY", "SIGNING_KEY_NEXT", "SIGNING_KEY_FORMER", "CURSOR_KEY")}
            # Each unit the keys of its own rooms, and no others'.
            for what, key in (("ticketing", "FLORIN_SECRET_TICKETING_KEY"), ("console", "FLORIN_SECRET_CONSOLE_KEY")):
                say((what in units[unit]["needs"]) == (key in given), f"{key} is not where it belongs")
            say(asked <= given, f"no secret gives {sorted(asked - given)}")
            # DEP-042: the engine may go to spot nodes, wallets and custody never do.
            if unit == "networks-engine":
                say(any(t["key"] == "florin.dev/group" for t in pod["tolerations"]), "DEP-042: does not tolerate spot nodes")
            if unit in ("wallets", "custody"):
                say(pod["nodeSelector"] == {"florin.dev/group": "core"}, "DEP-042: may land on spot nodes")
            scaled = unit in by.get("HorizontalPodAutoscaler", {})
            say(scaled != ("replicas" in d["spec"]), "either fixed or scaled, not both")
        for unit, d in by.get("HorizontalPodAutoscaler", {}).items():
            expect(d["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300, f"{name}: {unit}: scales down too fast")
        # Options bring a namespace of their own.
        agent = {"florin-logs"} if "log-agent" in by.get("DaemonSet", {}) else set()
        denied = {d["metadata"]["namespace"] for d in documents if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "deny-all"}
        expect(denied == {"florin", "florin-system", "florin-networks", "florin-batch"} | agent, f"{name}: a namespace without a denial")
        expect(not any(d["kind"] == "Secret" for d in documents), f"{name}: a secret in a manifest")
        expect(by["StorageClass"]["gp3-networks"]["reclaimPolicy"] == "Retain", f"{name}: disks of networks are deleted")
        # DEP-048, DEP-049, DEP-052.
        expect(by["StorageClass"]["gp3-encrypted"]["parameters"] == {"type": "gp3", "encrypted": "true"} and by["StorageClass"]["gp3-encrypted"]["volumeBindingMode"] == "WaitForFirstConsumer" and by["StorageClass"]["gp3-encrypted"]["allowVolumeExpansion"] and by["StorageClass"]["efs"]["parameters"]["fileSystemId"].startswith("fs-"), f"DEP-048: {name}: classes of disks")
        levels = {n: d["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for n, d in by["Namespace"].items()}
        expect(levels == {"florin": "restricted", "florin-system": "restricted", "florin-batch": "restricted", "florin-networks": "baseline"} | dict.fromkeys(agent, "privileged"), f"DEP-049: {name}: {levels}")
        expect({"florin", "florin-networks", "florin-batch"} <= {d["metadata"]["namespace"] for d in documents if d["kind"] == "ResourceQuota"}, f"DEP-049: {name}: quotas")
        expect("Ingress" not in by and not any("istio" in d["apiVersion"] or "linkerd" in d["apiVersion"] for d in documents), f"DEP-052: {name}: a mesh or an ingress of the platform")
        if name.endswith("all-eks"):
            options(by, name)
        expect("TargetGroupBinding" in by and "custody" not in by["TargetGroupBinding"], f"{name}: custody has an entrance")


# --- pipelines (DEP-116 to DEP-118, DEP-119)

def shell_is_sound(where, text):
    import shutil
    import subprocess

    if shutil.which("shellcheck") is None:
        return
    plain = re.sub(r"\$\{\{[^}]*\}\}", "word", text)
    done = subprocess.run(["shellcheck", "--shell=bash", "--exclude=SC2155,SC2012,SC2154", "-"], input=plain, capture_output=True, text=True)
    expect(done.returncode == 0, f"{where}: {done.stdout.strip()[:600]}")


def pipelines():
    try:
        import yaml
    except ImportError:
        print("  SKIPPED lint of pipelines: no PyYAML")
        return
    specs = {}
    for path in sorted((AWS / "pipeline").glob("buildspec-*.yml")):
        spec = specs[path.stem] = yaml.safe_load(path.read_text())
        expect(str(spec["version"]) == "0.2", f"{path.name}: version")
        unknown = set(spec) - {"version", "env", "phases", "artifacts"} | set(spec["phases"]) - {"install", "pre_build", "build", "post_build"}
        expect(not unknown, f"{path.name}: {unknown}")
        lines = [c for phase in spec["phases"].values() for c in phase["commands"]]
        expect(all(isinstance(line, str) for line in lines), f"{path.name}: a command that is no text")
        shell_is_sound(path.name, "\n".join(line if isinstance(line, str) else "" for line in lines))
        expect("variables" not in spec.get("env", {}), f"DEP-117: {path.name}: a value in plain text")
    image = json.dumps(specs["buildspec-image"])
    # DEP-114 too.
    expect("git-$(" in image and "latest" not in image and "test -n" in image, "DEP-117: commit as tag, or fail")
    expect("image-scan-complete" in image and "CRITICAL|HIGH" in image, "DEP-115: stops on findings")
    expect("sbom.py" in image, "DEP-115: SBOM beside the image")
    stages = re.findall(r'name += "(\w+)"', (AWS / "modules" / "pipeline" / "main.tf").read_text().split('resource "aws_codepipeline"')[1])
    order = [s for s in stages if s in ("Source", "Test", "ImageAndScan", "Staging", "Approval", "Production")]
    expect(list(dict.fromkeys(order)) == ["Source", "Test", "ImageAndScan", "Staging", "Approval", "Production"], f"DEP-116: {order}")
    flow = yaml.safe_load((AWS / "github" / "deploy.yml").read_text())
    expect(flow["permissions"] == {} and flow["concurrency"]["cancel-in-progress"] is False, "DEP-118: least permissions, one at a time")
    text = (AWS / "github" / "deploy.yml").read_text()
    expect("${{ secrets." not in text and "AWS_ACCESS_KEY" not in text, "DEP-118: no keys")
    for name, job in flow["jobs"].items():
        takes_role = any("configure-aws-credentials" in step.get("uses", "") for step in job["steps"])
        expect(job["permissions"] == ({"contents": "read", "id-token": "write"} if takes_role else {"contents": "read"}), f"DEP-118: {name}: permissions")
        expect(("environment" in job) == takes_role, f"DEP-118: {name}: environment")
        for step in job["steps"]:
            expect("uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), f"DEP-118: {name}: {step.get('uses')}")
            if "run" in step:
                shell_is_sound(f"deploy.yml {name}", step["run"])
    expect(flow["jobs"]["production"]["needs"] == ["image", "staging"] and flow["jobs"]["image"]["needs"] == "test", "DEP-118: order")


# --- charts of the cluster (DEP-018, DEP-046)

def addons():
    folder = DEPLOY / "kubernetes" / "addons"
    charts = json.loads((folder / "addons.json").read_text())["charts"]
    cluster = re.search(r'cluster_version = "([\d.]+)"', (AWS / "environments" / "production" / "main.tf").read_text()).group(1)
    for chart in charts:
        name = chart["name"]
        expect(re.fullmatch(r"\d+\.\d+\.\d+", chart["version"]), f"{name}: an exact version")
        expect(chart["digest"] == "" or re.fullmatch(r"sha256:[0-9a-f]{64}", chart["digest"]), f"{name}: digest")
        values = (folder / f"{name}.yaml").read_text()
        expect("latest" not in values, f"{name}: latest")
        if not chart["option"]:
            expect("replicaCount: 2" in values, f"{name}: two copies")
        if name == "cluster-autoscaler":
            expect(chart["app"].startswith(cluster + "."), f"DEP-046: autoscaler {chart['app']}, cluster {cluster}")
    needed = {"aws-load-balancer-controller", "cluster-autoscaler", "external-secrets"}
    expect(needed <= {c["name"] for c in charts if not c["option"]}, "DEP-046: a chart is missing")


# --- options of the cluster (DEP-047, DEP-051, DEP-061, DEP-071, DEP-099, DEP-100)

def options(by, name):
    vault = by["StatefulSet"]["vault"]
    config = by["ConfigMap"]["vault"]["data"]
    expect(vault["spec"]["replicas"] == 3 and vault["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "10Gi", f"DEP-099: {name}: three replicas on 10 GiB")
    expect('storage "raft"' in config["vault.hcl"] and 'seal "awskms"' in config["vault.hcl"] and "tls_cert_file" in config["vault.hcl"] and "tls_disable" not in config["vault.hcl"], "DEP-099: Raft, TLS, seal by KMS")
    expect("audit enable" in config["setup.sh"] and "auth enable kubernetes" in config["setup.sh"] and "ethereum fabric ipfs" in config["setup.sh"] and "-version=2 kv" in config["setup.sh"], "DEP-099: log-in, audit, mounts")
    solvers = by["ClusterIssuer"]["public"]["spec"]["acme"]["solvers"]
    expect(list(solvers[0]) == ["dns01"] and "vault" in by["Certificate"], "DEP-100: DNS-01, and Vault's certificate")
    for kind in ("prometheus", "alertmanager"):
        expect(by["StatefulSet"][kind]["spec"]["replicas"] == 2, f"DEP-061: two of {kind}")
    advice = by["VerticalPodAutoscaler"].values()
    expect(len(advice) >= 18 and all(v["spec"]["updatePolicy"]["updateMode"] == "Off" for v in advice), "DEP-047: advice only")
    # DEP-120: lines of pods reach the group of their unit, as they are; the agent writes nothing on the node.
    agent = by["DaemonSet"]["log-agent"]["spec"]["template"]["spec"]
    lines = by["ConfigMap"]["log-agent"]["data"]["agent.conf"]
    for unit in by["Deployment"]:
        expect(f"/florin/${{ENVIRONMENT}}/{unit}\n" in lines and f"Path              /var/log/containers/{unit}-*_" in lines, f"DEP-120: {name}: logs of {unit}")
    mounts = {m["name"]: m.get("readOnly", False) for m in agent["containers"][0]["volumeMounts"]}
    expect(mounts == {"logs": True, "config": True, "state": False} and agent["containers"][0]["securityContext"]["capabilities"]["drop"] == ["ALL"], f"DEP-120: {name}: the agent reads")
    told = {e["name"]: e.get("value") for e in agent["containers"][0]["env"]}
    expect(told["ENVIRONMENT"] == "production", f"DEP-120: {name}: groups of {told['ENVIRONMENT']}")
    expect("@sha256:" in agent["containers"][0]["image"] and by["ServiceAccount"]["log-agent"]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:"), f"DEP-120: {name}: image and role of the agent")
    for unit, d in by["Deployment"].items():
        containers = {c["name"]: c for c in d["spec"]["template"]["spec"]["containers"]}
        told = {e["name"]: e.get("value", "") for e in containers["florin"].get("env", [])}
        labels = d["metadata"]["labels"]
        expect(("pgbouncer" in containers) == (labels["florin.dev/tables"] == "true"), f"DEP-071: {unit}: pooler")
        if labels["florin.dev/kafka"] == "true":
            expect(told["FLORIN__BUS__URL"] == "$(KAFKA_URL)" and told["FLORIN__BUS__SASL_PASSWORD"] == "env:FLORIN_SECRET_KAFKA_PASSWORD", f"DEP-081: {unit}: brokers over TLS, as its own user")
            keys = {row["secretKey"]: row["remoteRef"]["key"] for row in by["ExternalSecret"][unit]["spec"]["data"]}
            expect(keys["FLORIN_SECRET_KAFKA_PASSWORD"] == f"florin/production/{unit}/kafka", f"DEP-081: {unit}: its own secret, and none of those that MSK reads")
        if "pgbouncer" in containers:
            pooled = {e["name"]: e.get("value") for e in containers["pgbouncer"]["env"]}
            expect(pooled["POOL_MODE"] == "session" and pooled["LISTEN_ADDR"] == "127.0.0.1", f"DEP-071: {unit}: a session keeps its connection")
            expect(told["FLORIN__DATABASE__URL"] == "env:FLORIN_SECRET_POOLED_URL" and told.get("FLORIN__LEDGER__URL", "env:FLORIN_SECRET_DATABASE_URL") == "env:FLORIN_SECRET_DATABASE_URL", f"DEP-071: {unit}: the ledger is never pooled")
        # DEP-051: whatever runs in the cluster comes from the own registry, by digest.
        for container in containers.values():
            expect(re.search(r"\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(florin|mirror/[a-z-]+)@sha256:", container["image"]), f"DEP-051: {unit}: image {container['image']}")


def main():
    check, files = sys.argv[1], sys.argv[2:]
    if check == "kubernetes":
        kubernetes(files)
    else:
        {"roots": roots, "budget": budget, "addons": addons, "pipelines": pipelines, "metrics": metrics, "grafana": grafana, "iam": iam, "sizes": sizes}[check](*files)
    for message in WRONG:
        print(f"  {message}", file=sys.stderr)
    sys.exit(1 if WRONG else 0)


main()
