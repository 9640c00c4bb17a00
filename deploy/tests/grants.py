#!/usr/bin/env python3
"""Part D1 of the contract as a table, compared with the policies of a plan or of a state:
grants.py FILE.json. DEP-013, DEP-039, DEP-055: each principal has exactly these actions on exactly
these resources; one more or one less fails.

A state has all policies; a plan knows those alone whose resources have names beforehand, and the
others are passed over and counted.
"""
import json
import re
import sys

ACCOUNT = r"\d{12}"
TRACES = {(f"xray:{a}", r"\*") for a in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")}


def on(actions, *resources):
    return {(action, resource) for action in actions.split() for resource in resources}


def bucket(purpose, path):
    return rf"arn:aws:s3:::florin-\w+-{purpose}-[0-9a-f]{{8}}/{path}"


def secret(name):
    return rf"arn:aws:secretsmanager:[\w-]+:{ACCOUNT}:secret:{name}(-\w{{6}}|/\*|\*)?"


KEY = rf"arn:aws:kms:[\w-]+:{ACCOUNT}:key/[\w-]+"
LOG = rf"arn:aws:logs:[\w-]+:{ACCOUNT}:log-group:"
FILES_OF = rf"arn:aws:elasticfilesystem:[\w-]+:{ACCOUNT}:"
RDS = rf"arn:aws:rds:[\w-]+:{ACCOUNT}:"
REPOSITORY = rf"arn:aws:ecr:[\w-]+:{ACCOUNT}:repository/florin"
PULL = on("ecr:GetAuthorizationToken", r"\*") | on("ecr:BatchGetImage ecr:GetDownloadUrlForLayer ecr:BatchCheckLayerAvailability", REPOSITORY)
FILES = on("s3:GetObject s3:PutObject", bucket("blobs", r"ticketing/\*")) | on("s3:DeleteObject", bucket("blobs", r"ticketing/tmp/\*")) | on("kms:Decrypt kms:GenerateDataKey", KEY)
# What a unit may do beside traces.
UNITS = {unit: set() for unit in ("gateway", "console", "wallets", "shadow-events", "shadow-ledger", "shadow-drift", "chains", "markets", "networks-api")}
UNITS |= {unit: FILES for unit in ("ticketing-events", "ticketing-orders", "ticketing-analytics")}
UNITS["kyc"] = on("s3:GetObject s3:PutObject s3:DeleteObject s3:DeleteObjectVersion", bucket("documents", r"kyc/\*")) | on("kms:Decrypt kms:GenerateDataKey", KEY)
UNITS["aml"] = on("s3:GetObject s3:PutObject", bucket("blobs", r"lists/\*")) | on("kms:Decrypt kms:GenerateDataKey", KEY)
UNITS["workers"] = on("s3:GetObject s3:PutObject s3:PutObjectRetention", bucket("archive", r"feed/\*"), bucket("backups", r"exports/\*")) | on("kms:Decrypt kms:GenerateDataKey", KEY) | on("sns:Publish", rf"arn:aws:sns:[\w-]+:{ACCOUNT}:florin-\w+-notify")
NETWORK_SECRETS = secret(r"florin/\w+/networks")
UNITS["networks-engine"] = on("s3:GetObject s3:PutObject s3:DeleteObject", bucket("networks", r"\*")) | on("secretsmanager:CreateSecret secretsmanager:PutSecretValue secretsmanager:GetSecretValue secretsmanager:DeleteSecret", NETWORK_SECRETS) | on("kms:Decrypt kms:GenerateDataKey", KEY)
UNITS["networks-manager"] = on("s3:GetObject", bucket("networks", r"\*")) | on("secretsmanager:GetSecretValue", NETWORK_SECRETS) | on("kms:Decrypt", KEY)
UNITS["custody"] = on("kms:Sign kms:GetPublicKey kms:DescribeKey", rf"arn:aws:kms:[\w-]+:{ACCOUNT}:key/\*")
# Statements that stand only with a condition: action -> a word of it.
CONDITIONS = {
    "kms:Decrypt": "kms:ViaService", "kms:GenerateDataKey": "kms:ViaService", "kms:Sign": "aws:ResourceTag/florin:signer", "secretsmanager:CreateSecret": "aws:RequestTag/Environment",
    "autoscaling:SetDesiredCapacity": "cluster-autoscaler", "autoscaling:TerminateInstanceInAutoScalingGroup": "cluster-autoscaler", "ec2:CreateVolume": "ebs.csi.aws.com/cluster", "ec2:DeleteVolume": "ebs.csi.aws.com/cluster",
}
OTHERS = {
    r'observability\.aws_iam_role_policy\.forward': on("events:PutEvents", rf"arn:aws:events:[\w-]+:{ACCOUNT}:event-bus/default"),
    r'eks\.aws_iam_role_policy\.node': on("logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents", LOG + r"/aws/eks/florin-\w+/cluster:\*") | on("logs:DescribeLogGroups", r"\*"),
    r'monitoring_host\.aws_iam_role_policy\.host': on("cloudwatch:GetMetricData cloudwatch:ListMetrics ec2:DescribeInstances ec2:DescribeVolumes tag:GetResources", r"\*") | on("sns:Publish", rf"arn:aws:sns:[\w-]+:{ACCOUNT}:florin-\w+-(page|notify)") | on("servicediscovery:DiscoverInstances", rf"arn:aws:servicediscovery:[\w-]+:{ACCOUNT}:\*") | on("s3:GetObject", bucket("artifacts", r"monitoring/\*")) | on("ec2:AttachVolume", rf"arn:aws:ec2:[\w-]+:{ACCOUNT}:(volume/vol-\w+|instance/\*)"),
    r'secrets\.aws_iam_role_policy\.rotation': on("secretsmanager:DescribeSecret secretsmanager:GetSecretValue secretsmanager:PutSecretValue secretsmanager:UpdateSecretVersionStage", secret(r"florin/\w+/[\w-]+/(db|cache|kafka)"), secret(r"florin/\w+/shared/signing-key"), secret(r"AmazonMSK_florin_\w+_[\w-]+_[ab]")) | on("secretsmanager:GetSecretValue", secret(r"rds!cluster-[\w-]+") + "|" + secret(r"[\w!-]+")) | on("secretsmanager:GetRandomPassword", r"\*") | on("elasticache:ModifyUser", rf"arn:aws:elasticache:[\w-]+:{ACCOUNT}:user:florin-\w+-\*") | on("kms:Decrypt kms:GenerateDataKey", KEY) | on("sqs:SendMessage", rf"arn:aws:sqs:[\w-]+:{ACCOUNT}:florin-\w+-[\w-]+") | on("logs:CreateLogStream logs:PutLogEvents", LOG + r"/aws/lambda/florin-\w+-rotation:\*") | on("ec2:CreateNetworkInterface ec2:DescribeNetworkInterfaces ec2:DeleteNetworkInterface", r"\*"),
    r'service_account\["aws-load-balancer-controller"\]': on("elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeListeners ec2:DescribeInstances ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs ec2:DescribeAvailabilityZones", r"\*") | on("elasticloadbalancing:RegisterTargets elasticloadbalancing:DeregisterTargets", rf"arn:aws:elasticloadbalancing:[\w-]+:{ACCOUNT}:targetgroup/[\w-]+/\w+"),
    r'ecs\.aws_iam_role_policy\.drill\[0\]$': on("rds:DescribeDBClusters rds:DescribeDBClusterSnapshots rds:DescribeDBInstances", r"\*") | on("ssm:GetParametersByPath", r"arn:aws:ssm:[\w-]+:\d+:parameter/florin/\w+/\*") | on("rds:AddTagsToResource rds:CreateDBInstance rds:RestoreDBClusterFromSnapshot", RDS + r"cluster:florin-\w+-database-drill", RDS + r"db:florin-\w+-database-drill-1", RDS + r"(cluster-snapshot|subgrp|cluster-pg|pg):\*") | on("rds:DeleteDBCluster rds:DeleteDBInstance", RDS + r"cluster:florin-\w+-database-drill", RDS + r"db:florin-\w+-database-drill-1") | on("kms:CreateGrant kms:Decrypt kms:DescribeKey kms:GenerateDataKey", KEY) | on("s3:PutObject", bucket("backups", r"exports/drills/\*")),
    r'service_account\["efs-csi-controller-sa"\]': on("ec2:DescribeAvailabilityZones elasticfilesystem:DescribeAccessPoints elasticfilesystem:DescribeFileSystems elasticfilesystem:DescribeMountTargets", r"\*") | on("elasticfilesystem:CreateAccessPoint elasticfilesystem:TagResource", FILES_OF + r"file-system/\*", FILES_OF + r"access-point/\*") | on("elasticfilesystem:DeleteAccessPoint", FILES_OF + r"access-point/\*"),
    r'service_account\["log-agent"\]': on("logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents", LOG + r"/florin/\w+/\*"),
    r'service_account\["external-secrets"\]': on("secretsmanager:GetSecretValue secretsmanager:DescribeSecret", secret(r"florin/\w+/[\w-]+/[\w-]+")) | on("kms:Decrypt", KEY),
}


def walk(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from walk(child)


def as_list(value):
    return value if isinstance(value, list) else [value]


def granted(policy):
    pairs = set()
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        for action in as_list(statement["Action"]):
            word = CONDITIONS.get(action)
            if word and word not in json.dumps(statement.get("Condition", {})) and "rotation" not in policy["at"] and "csi" not in policy["at"]:
                yield None, f"{action} without the condition {word}"
            pairs |= {(action, resource) for resource in as_list(statement["Resource"])}
    yield from pairs


def compare(address, found, wanted, wrong):
    for action, resource in sorted(found, key=str):
        if action is None:
            wrong.append(f"{address}: {resource}")
        elif not any(action == a and re.fullmatch(r, resource) for a, r in wanted):
            wrong.append(f"{address}: {action} on {resource} is more than D1 grants")
    for action, resource in sorted(wanted):
        if not any(action == a and re.fullmatch(resource, r) for a, r in found if a):
            wrong.append(f"{address}: {action} on {resource} is missing")


def unit_of(address):
    match = re.search(r'(?:\.task|\.execution|service_account)\["([\w-]+)"\]', address)
    return match and match[1]


def wanted_of(address):
    unit = unit_of(address)
    if ".execution[" in address:
        own = secret(rf"florin/\w+/({unit}|shared)/[\w-]+")
        start = PULL | on("logs:CreateLogStream logs:PutLogEvents", LOG + rf"/florin/\w+/{unit}:\*")
        return start | on("secretsmanager:GetSecretValue", own) | on("kms:Decrypt", KEY)
    if unit in UNITS:
        return TRACES | UNITS[unit]
    return next((grants for pattern, grants in OTHERS.items() if re.search(pattern, address)), None)


def main():
    plan = json.load(open(sys.argv[1]))
    wrong, seen, unknown, units = [], 0, 0, set()
    for resource in walk((plan.get("planned_values") or plan["values"])["root_module"]):
        if resource["type"] != "aws_iam_role_policy":
            continue
        address = resource["address"]
        wanted = wanted_of(address)
        if wanted is None:
            # What runs in a task stands in D1, or does not exist.
            if ".task[" in address:
                wrong.append(f"{address}: D1 has no row for it")
            continue
        text = resource["values"].get("policy")
        if not text:
            unknown += 1
            continue
        seen += 1
        if ".execution[" not in address and unit_of(address) in UNITS:
            units.add(unit_of(address))
        compare(address, set(granted({**json.loads(text), "at": address})), wanted, wrong)
    if "values" in plan:
        missing = set(UNITS) - units
        if missing:
            wrong.append(f"no role was seen of {sorted(missing)}")
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    print(f"  {seen} principals have what D1 grants, and no more; {unknown} are known only after an apply")
    sys.exit(1 if wrong else 0)


main()
