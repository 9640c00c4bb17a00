#!/bin/sh
# Staging end to end against the local mock of AWS: bootstrap, deploy.sh (refused, planned,
# applied), probes by the AWS command line, florin aws check, destroy, nothing left.
#
# The mock stores what it is told and enforces nothing: no permissions, no security groups, no
# failover. What passes here shows that the configuration can be created, read and removed.
# shellcheck disable=SC2016  # backticks belong to the queries of the AWS command line
set -eu

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
DEPLOY=$(dirname "$HERE")
WORK=$(mktemp -d)
pids=''
clean() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    [ -n "${FLORIN_MOCK_KEEP:-}" ] || rm -rf "$WORK"
}
trap clean EXIT
trap 'exit 130' INT TERM
fail() { echo "mock: $*" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
lap() { echo "  $(($(date +%s) - started)) s: $*"; }
started=$(date +%s)

PORT=$(free_port)
export AWS_ENDPOINT_URL="http://127.0.0.1:$PORT" AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AWS_REGION=us-west-2 AWS_DEFAULT_REGION=us-west-2 AWS_EC2_METADATA_DISABLED=true
export TF_CLI_ARGS_apply='-parallelism=40' TF_CLI_ARGS_destroy='-parallelism=40' TF_CLI_ARGS_plan='-parallelism=40'
# The mock runs no tasks; it reports this many for each service.
MOTO_ECS_SERVICE_RUNNING=2 python3 "$HERE/../aws/tests/mock_more.py" "$FLORIN_MOCK_AWS" -H 127.0.0.1 -p "$PORT" >"$WORK/moto.log" 2>&1 &
pids="$pids $!"
for _ in $(seq 1 1200); do
    if curl -s -o /dev/null "$AWS_ENDPOINT_URL/moto-api/"; then break; fi
    sleep 0.5
done
ACCOUNT=$(aws sts get-caller-identity --query Account --output text)

# --- a copy with the few lines that only a mock needs
mkdir "$WORK/deploy"
cp -r "$DEPLOY/aws" "$DEPLOY/kubernetes" "$DEPLOY/image" "$DEPLOY/otel" "$DEPLOY/units.json" "$DEPLOY/settings.json" "$DEPLOY/roles.json" "$DEPLOY/tests" "$WORK/deploy/"
AWS_DIR=$WORK/deploy/aws
ROOT=$AWS_DIR/environments/staging
overlay() { cat >"$AWS_DIR/modules/$1/zz_mock_override.tf"; }
for alias in '' dr us_east_1; do
    printf 'provider "aws" {\n%s  max_retries = 3\n}\n' "${alias:+  alias = \"$alias\"
}"
done >"$ROOT/zz_mock_override.tf"
printf 'provider "aws" {\n  max_retries = 3\n}\nresource "aws_s3_bucket" "state" {\n  force_destroy = true\n  lifecycle {\n    prevent_destroy = false\n  }\n}\n' >"$AWS_DIR/bootstrap/zz_mock_override.tf"
may_go() { printf 'resource "%s" "%s" {\n%s  lifecycle {\n    prevent_destroy = false\n  }\n}\n' "$1" "$2" "${3:-}"; }
{
    may_go aws_rds_cluster this '  deletion_protection = false
  skip_final_snapshot = true
'
    may_go aws_db_instance this
} | overlay database
may_go aws_msk_cluster this | overlay kafka
{
    may_go aws_s3_bucket this '  force_destroy = true
'
    may_go aws_s3_bucket copy '  force_destroy = true
'
} | overlay storage
printf 'resource "aws_lb" "this" {\n  enable_deletion_protection = false\n}\n' | overlay edge
printf 'resource "aws_elasticache_replication_group" "this" {\n  final_snapshot_identifier = null\n}\n' | overlay cache

# --- bootstrap, then what a person brings: a zone, an image, the values of vendors
(cd "$AWS_DIR/bootstrap" && terraform init -input=false -no-color >"$WORK/bootstrap.log" 2>&1 &&
    terraform apply -auto-approve -input=false -no-color -var "allowed_account_id=$ACCOUNT" -var owner=test -var github_repository=example/florin >>"$WORK/bootstrap.log" 2>&1) ||
    { tail -n 30 "$WORK/bootstrap.log" >&2; fail 'bootstrap'; }
(cd "$AWS_DIR/bootstrap" && terraform show -json >"$WORK/bootstrap.json")
python3 "$HERE/checks.py" iam "$WORK/bootstrap.json"
lap 'bootstrap: state bucket, registry, roles of workflows'
ZONE=$(aws route53 create-hosted-zone --name staging.example.com --caller-reference once --query HostedZone.Id --output text)
aws ecr put-image --repository-name florin --image-tag git-000000000000 --image-manifest '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}' >/dev/null
DIGEST=$(aws ecr list-images --repository-name florin --query 'imageIds[0].imageDigest' --output text)
aws ecr start-image-scan --repository-name florin --image-id "imageDigest=$DIGEST" >/dev/null
cat >"$ROOT/terraform.tfvars" <<TFVARS
allowed_account_id      = "$ACCOUNT"
owner                   = "test"
domain_name             = "staging.example.com"
hosted_zone_id          = "${ZONE##*/}"
alert_email_addresses   = ["ops@example.com"]
container_image         = "$ACCOUNT.dkr.ecr.us-west-2.amazonaws.com/florin@$DIGEST"
monitoring_ami_id       = "ami-0123456789abcdef0"
cluster_admin_role_arns = ["arn:aws:iam::$ACCOUNT:role/platform"]
connection_arn          = "arn:aws:codeconnections:us-west-2:$ACCOUNT:connection/00000000-0000-4000-8000-000000000001"
repository              = "example/florin"
collector_image         = "$ACCOUNT.dkr.ecr.us-west-2.amazonaws.com/mirror/collector@$DIGEST"
on_sales                = [{ name = "stadium", unit = "ticketing-orders", from = "2030-12-01T08:30:00", until = "2030-12-01T12:00:00", min = 3, max = 9 }]
TFVARS
# The mock has no Access Analyzer and no cost anomaly monitor: both stand behind an input.
printf 'module "platform" {\n  access_analyzer = false\n  anomaly_usd     = 0\n}\n' >>"$ROOT/zz_mock_override.tf"
sed "s/111122223333/$ACCOUNT/" "$ROOT/backend.hcl.example" >"$ROOT/backend.hcl"
echo 'use_path_style = true' >>"$ROOT/backend.hcl"
FLORIN_VENDOR_SECRETS=$WORK/vendor
export FLORIN_VENDOR_SECRETS
for secret in gateway/oidc-client ticketing-orders/stripe kyc/vendor chains/rpc-providers; do
    mkdir -p "$FLORIN_VENDOR_SECRETS/${secret%/*}"
    echo 'made up for the test' >"$FLORIN_VENDOR_SECRETS/$secret"
done

deploy() {
    code=0
    FLORIN_DEPLOY_SKIP='kubernetes stable empty-plan rotation migrations' "$AWS_DIR/deploy.sh" --environment staging "$@" >"$WORK/deploy.out" 2>&1 || code=$?
}

# --- refused while the scan has findings (the mock invents some), then planned
deploy --plan
if [ "$code" != 3 ] || ! grep -q 'the scan of the image found' "$WORK/deploy.out"; then cat "$WORK/deploy.out" >&2; fail "an image with findings: exit $code"; fi
curl -s -X POST "$AWS_ENDPOINT_URL/moto-api/static/ecr/scan-finding-results" -H 'content-type: application/json' \
    -d '{"region":"us-west-2","results":[{"repositoryName":"florin","imageId":{},"imageScanFindings":{"findings":[],"findingSeverityCounts":{}},"imageScanStatus":{"status":"COMPLETE"}}]}' >/dev/null

# DEP-115: the image is refused until it is signed, and when its SBOM was exchanged after that.
deploy --plan
if [ "$code" != 3 ] || ! grep -q 'the image has no statement' "$WORK/deploy.out"; then cat "$WORK/deploy.out" >&2; fail "an image that nobody signed: exit $code"; fi
BUCKET=florin-tfstate-$ACCOUNT-us-west-2
python3 "$DEPLOY/image/sbom.py" "$DEPLOY/../Cargo.lock" >"$WORK/sbom.json"
"$DEPLOY/image/sign.sh" "$DIGEST" "$WORK/sbom.json" "$BUCKET"
"$DEPLOY/image/verify.sh" "$DIGEST" "$BUCKET" || fail 'the signature does not hold'
echo '{}' >"$WORK/other.json"
aws s3api put-object --bucket "$BUCKET" --key "images/${DIGEST#sha256:}/sbom.json" --body "$WORK/other.json" >/dev/null
if "$DEPLOY/image/verify.sh" "$DIGEST" "$BUCKET" >/dev/null; then fail 'another SBOM was taken'; fi
aws s3api put-object --bucket "$BUCKET" --key "images/${DIGEST#sha256:}/sbom.json" --body "$WORK/sbom.json" >/dev/null
lap 'image signed, and refused without a signature that holds'

# --- production is planned beside it: policies and sizes are judged from the two plans
PRODUCTION=$AWS_DIR/environments/production
cp "$ROOT/terraform.tfvars" "$ROOT/zz_mock_override.tf" "$PRODUCTION/"
printf 'terraform {\n  backend "local" {}\n}\n' >>"$PRODUCTION/zz_mock_override.tf"
(cd "$PRODUCTION" && terraform init -input=false -no-color >"$WORK/production.log" 2>&1 &&
    terraform plan -input=false -no-color -out="$WORK/production.plan" >>"$WORK/production.log" 2>&1 &&
    terraform show -json "$WORK/production.plan" >"$WORK/production.json") &
planning=$!
pids="$pids $planning"

# --- modules behind switches that are off in staging, each for itself
# DEP-064: one database of RDS. DEP-144: a pool of Cognito.
for single in database identity; do
    mkdir -p "$WORK/single/$single"
    cp "$AWS_DIR/modules/$single/"*.tf "$WORK/single/$single/"
done
printf 'provider "aws" {\n  max_retries = 3\n}\n' | tee "$WORK/single/database/zz_provider.tf" >"$WORK/single/identity/zz_provider.tf"
SUBNETS=$(aws ec2 describe-subnets --query 'Subnets[?DefaultForAz].SubnetId' --output json | tr -d ' \n')
KEY=$(aws kms create-key --query KeyMetadata.Arn --output text)
printf 'name = "florin-single"\nenvironment = "staging"\nregion = "us-west-2"\naccount_id = "%s"\nplatform_name = "single"\nsubnet_ids = %s\nsecurity_group_ids = []\nazs = ["us-west-2a", "us-west-2b", "us-west-2c"]\nkms_key_arn = "%s"\nsecrets_kms_key_arn = "%s"\nengine_mode = "rds"\nengine_version = "17.5"\nauto_minor_version_upgrade = true\ndatabase_writer_instance_class = "db.m6g.large"\ndatabase_reader_instance_class = "db.m6g.large"\ndatabase_reader_count = 0\ndatabase_reader_max = 0\ndatabase_backup_retention_period = 7\n' "$ACCOUNT" "$SUBNETS" "$KEY" "$KEY" >"$WORK/single/database/terraform.tfvars"
printf 'name = "florin-single"\nenvironment = "staging"\nregion = "us-west-2"\ncognito = true\n' >"$WORK/single/identity/terraform.tfvars"
(for single in database identity; do
    cd "$WORK/single/$single"
    terraform init -input=false -no-color >>"$WORK/single.log" 2>&1
    terraform apply -auto-approve -input=false -no-color >>"$WORK/single.log" 2>&1
done) &
singles=$!
pids="$pids $singles"

# What CloudWatch would keep of the last minutes; the mock measures nothing by itself.
measured() { aws cloudwatch put-metric-data --namespace "$1" --metric-name "$2" --value "$3" --dimensions "$4"; }
measured AWS/RDS AuroraReplicaLagMaximum 20 DBClusterIdentifier=florin-staging-database
measured AWS/RDS DatabaseConnections 140 DBClusterIdentifier=florin-staging-database
measured AWS/ElastiCache DatabaseMemoryUsagePercentage 31 CacheClusterId=florin-staging-cache-001
measured AWS/Kafka OfflinePartitionsCount 0 'Cluster Name=florin-staging-kafka'
measured AWS/Kafka UnderReplicatedPartitions 0 'Cluster Name=florin-staging-kafka'
measured Florin ledger_checkpoint_age_seconds 2 Environment=staging,Unit=wallets

APPLICATION=$(free_port)
FLORIN__LEDGER__DISK_FREE_MIN_PERCENT=0 "$FLORIN_BIN" serve --demo --port "$APPLICATION" --data-dir "$WORK/data" >"$WORK/florin.log" 2>&1 &
pids="$pids $!"
FLORIN_APPLICATION_URL=http://127.0.0.1:$APPLICATION
for _ in $(seq 1 120); do
    if "$FLORIN_BIN" probe --url "$FLORIN_APPLICATION_URL/ready" >/dev/null 2>&1; then break; fi
    sleep 0.5
done
# DEP-151, DEP-152: with a key the check moves a cent and back, in a real server.
FLORIN_API_KEY=$("$FLORIN_BIN" key create florin-smoke --role service --role operator --role auditor --data-dir "$WORK/data" --output json | sed -n 's/.*"apiKey":"\([^"]*\)".*/\1/p')
[ -n "$FLORIN_API_KEY" ] || fail 'no API key for the smoke'
export FLORIN_APPLICATION_URL FLORIN_API_KEY

# --- applied
export FLORIN_BIN
export FLORIN_DEPLOY_PLAN_JSON="$WORK/staging.json"
deploy --auto-approve
grep -E '^(applied|cost|checked|done|skipped|warning|account|Plan|unknown)' "$WORK/deploy.out" | sed 's/^/  /'
if [ "$code" != 0 ]; then tail -n 60 "$WORK/deploy.out" >&2; grep -h -A8 '^Error' "$AWS_DIR"/deploy-staging-*.log | head -60 >&2 || true; fail "deploy.sh: exit $code"; fi
lap 'deploy.sh: applied, released, checked'
wait "$planning" || { grep -A8 '^Error' "$WORK/production.log" >&2; fail 'plan of production'; }
echo "  production: $(grep -m 1 '^Plan:' "$WORK/production.log")"
# After the run all policies are known, before it only some.
(cd "$ROOT" && terraform show -json >"$WORK/state.json")
# DEP-156: what stood in the mock.
{
    python3 "$DEPLOY/coverage.py" --applied "$WORK/bootstrap.json"
    python3 "$DEPLOY/coverage.py" --applied "$WORK/state.json"
} >"${FLORIN_EVIDENCE:-$WORK}/applied"
python3 "$HERE/checks.py" iam "$WORK/state.json"
python3 "$HERE/checks.py" iam "$WORK/production.json"
# DEP-039, DEP-055: each principal has what part D1 of the contract grants, and no more.
python3 "$HERE/grants.py" "$WORK/state.json"
python3 "$HERE/grants.py" "$WORK/production.json"
python3 "$HERE/checks.py" sizes "$WORK/staging.json" "$WORK/production.json"
# The prices of this tree, whichever program reads them.
PRICES=$(find "$AWS_DIR/prices" -name '*.csv' | sort | tail -n 1)
for at in min desired max; do
    "$FLORIN_BIN" aws cost --plan "$WORK/production.json" --prices "$PRICES" --usage "$AWS_DIR/usage/production.toml" --at "$at" >"$WORK/cost-$at" || { tail -n 20 "$WORK/cost-$at" >&2; fail "a resource of production has no price"; }
    echo "  production at $at: $(grep '^total' "$WORK/cost-$at")"
done
grep '^warning' "$WORK/cost-desired" | sed 's/^/  /' || true
# The budget is 1.15 times the estimate at desired counts, rounded up to 100 (DEP-132).
for environment in staging production; do
    "$FLORIN_BIN" aws cost --plan "$WORK/$environment.json" --prices "$PRICES" --usage "$AWS_DIR/usage/$environment.toml" --output json >"$WORK/cost.json"
    python3 "$HERE/checks.py" budget "$environment" "$WORK/cost.json"
done

# --- probes by API, not by state
wrong=''
probe() {
    what=$1 wanted=$2
    shift 2
    found=$("$@" | tr '\t\n' '  ' | sed 's/ *$//')
    # All probes are made: one run tells all that is wrong.
    [ "$found" = "$wanted" ] || wrong="$wrong
mock: $what: found '$found', wanted '$wanted'"
    echo "  $what: $found"
}
text() { aws "$@" --output text; }
probe 'database encrypted, in several zones, backups of days' 'True True 7' text rds describe-db-clusters --db-cluster-identifier florin-staging-database --query 'DBClusters[0].[StorageEncrypted, MultiAZ, BackupRetentionPeriod]'
probe 'database instances, none public' '2 0' text rds describe-db-instances --query '[length(DBInstances[?starts_with(DBInstanceIdentifier, `florin-staging-`)]), length(DBInstances[?PubliclyAccessible])]'
probe 'cache: failover, several zones, encrypted in transit and at rest' 'enabled enabled True True' text elasticache describe-replication-groups --replication-group-id florin-staging-cache --query 'ReplicationGroups[0].[AutomaticFailover, MultiAZ, TransitEncryptionEnabled, AtRestEncryptionEnabled]'
ALB=$(text elbv2 describe-load-balancers --names florin-staging-public --query 'LoadBalancers[0].LoadBalancerArn')
probe 'web ACL of the public load balancer' 'florin-staging-regional' text wafv2 get-web-acl-for-resource --resource-arn "$ALB" --query WebACL.Name
probe 'zones of the public load balancer' 3 text elbv2 describe-load-balancers --names florin-staging-public --query 'length(LoadBalancers[0].AvailabilityZones)'
ALARMS=$(text cloudwatch describe-alarms --query 'length(MetricAlarms)')
[ "$ALARMS" -ge 100 ] || fail "only $ALARMS alarms"
probe 'alarms without an action' 0 text cloudwatch describe-alarms --query 'length(MetricAlarms[?length(AlarmActions)==`0`])'
probe 'secrets without a value' 0 text secretsmanager list-secrets --max-results 100 --query 'length(SecretList[?starts_with(Name, `florin/staging/`) && !SecretVersionsToStages])'
for bucket in $(text s3api list-buckets --query 'Buckets[?starts_with(Name, `florin-staging-`)].Name'); do
    case $bucket in *-logs-*) algorithm=AES256 ;; *) algorithm=aws:kms ;; esac
    probe "$bucket encrypted by" "$algorithm" text s3api get-bucket-encryption --bucket "$bucket" --query 'ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm'
done
probe 'EKS: private API, public API' 'True False' text eks describe-cluster --name florin-staging --query 'cluster.resourcesVpcConfig.[endpointPrivateAccess, endpointPublicAccess]'
probe 'public addresses of tasks' 0 text ecs describe-services --cluster florin-staging --services gateway wallets --query 'length(services[?networkConfiguration.awsvpcConfiguration.assignPublicIp==`ENABLED`])'
probe 'users of the cache without a password' 0 text elasticache describe-users --query 'length(Users[?starts_with(UserId, `florin-staging-`) && !ends_with(UserId, `-default`) && Authentication.Type!=`password`])'
# DEP-095: the cache's part of a rotation: two passwords meanwhile, and the new version is current.
TOKEN=$(python3 "$HERE/rotate.py" "$FLORIN_BIN" florin/staging/wallets/cache) || fail 'rotation of a user of the cache'
probe 'the new secret of the cache is current' "$TOKEN" text secretsmanager get-secret-value --secret-id florin/staging/wallets/cache --version-stage AWSCURRENT --query VersionId
probe 'passwords of its user meanwhile' '2' text elasticache describe-users --user-id florin-staging-wallets --query 'Users[0].Authentication.PasswordCount'
# DEP-001, DEP-002, DEP-003, DEP-005, DEP-007, DEP-009, DEP-010: a service for each unit, and the host.
probe 'services of units' 10 text ecs list-services --cluster florin-staging --query 'length(serviceArns)'
probe 'groups of the monitoring host' 1 text autoscaling describe-auto-scaling-groups --query 'length(AutoScalingGroups[?starts_with(AutoScalingGroupName, `florin-staging-`)])'
# DEP-081, DEP-095: MSK reads two users of each unit, and the unit is told one of them.
probe 'MSK reads both users of the workers' '2' text kafka list-scram-secrets --cluster-arn "$(text kafka list-clusters --query 'ClusterInfoList[0].ClusterArn')" --query 'length(SecretArnList[?contains(@, `AmazonMSK_florin_staging_workers_`)])'
# DEP-055: what a task definition tells a unit, and what it must not hold.
probe 'wallets are told the database by reference' 'env:FLORIN_SECRET_DATABASE_URL' text ecs describe-task-definition --task-definition florin-staging-wallets --query 'taskDefinition.containerDefinitions[0].environment[?name==`FLORIN__LEDGER__URL`].value'
probe 'shared files: encrypted, in every zone' 'True 3' sh -c 'aws efs describe-file-systems --query "FileSystems[0].Encrypted" --output text; aws efs describe-mount-targets --file-system-id "$(aws efs describe-file-systems --query "FileSystems[0].FileSystemId" --output text)" --query "length(MountTargets)" --output text'
probe 'trail logs' True text cloudtrail get-trail-status --name florin-staging --query IsLogging
probe 'marker of the release' "$DIGEST" sh -c "aws ssm get-parameter --name /florin/staging/last-good --query Parameter.Value --output text | cut -d ' ' -f 1"
# DEP-056: the announced sale stands in the calendar of the service.
probe 'actions for the sale' 2 text application-autoscaling describe-scheduled-actions --service-namespace ecs --query 'length(ScheduledActions[?contains(ScheduledActionName, `on-sale-stadium`)])'
wait "$singles" || { grep -A8 '^.*Error' "$WORK/single.log" >&2; fail 'modules behind switches'; }
# DEP-064
probe 'one database of RDS: several zones, grows by itself, encrypted' 'True gp3 1000 True' text rds describe-db-instances --db-instance-identifier florin-single-database --query 'DBInstances[0].[MultiAZ, StorageType, MaxAllocatedStorage, StorageEncrypted]'
# DEP-144
POOL=$(text cognito-idp list-user-pools --max-results 10 --query 'UserPools[?starts_with(Name, `florin-single`)].Id')
probe 'a pool with its own rules for passwords' 'ON 14 True' text cognito-idp describe-user-pool --user-pool-id "$POOL" --query 'UserPool.[MfaConfiguration, Policies.PasswordPolicy.MinimumLength, AdminCreateUserConfig.AllowAdminCreateUserOnly]'
lap "probed; $ALARMS alarms"

# --- destroyed, and nothing is left
# Without another look at what was just made: the probes have seen it.
(cd "$ROOT" && terraform destroy -refresh=false -auto-approve -input=false -no-color >"$WORK/destroy.log" 2>&1) || { grep -A8 '^Error' "$WORK/destroy.log" >&2; fail 'destroy'; }
echo "  $(grep -m 1 '^Destroy complete' "$WORK/destroy.log")"
probe 'left in the state' '' sh -c "cd '$ROOT' && terraform state list"
probe 'left: VPCs, active clusters, databases, load balancers, buckets' '0 0 0 0 0' sh -c 'aws ec2 describe-vpcs --filters Name=is-default,Values=false --query "length(Vpcs)" --output text; aws ecs describe-clusters --clusters florin-staging --query "length(clusters[?status==\`ACTIVE\`])" --output text; aws rds describe-db-clusters --query "length(DBClusters)" --output text; aws elbv2 describe-load-balancers --query "length(LoadBalancers)" --output text; aws s3api list-buckets --query "length(Buckets[?starts_with(Name, \`florin-staging-\`)])" --output text'
[ -z "$wrong" ] || fail "probes:$wrong"
lap 'destroyed'
