#!/bin/sh
# deploy.sh against stub programs that record their calls: each refusal, exit codes, rollback.
set -eu

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
DIGEST=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
count=0

mkdir -p "$WORK/bin"
# Each stub answers from the environment; calls go to a file.
cat >"$WORK/bin/aws" <<'STUB'
#!/bin/sh
echo "aws $*" >>"$CALLS"
case "$*" in
    *get-caller-identity*Arn*) echo "${STUB_ARN:-arn:aws:sts::111122223333:assumed-role/platform/me}" ;;
    *get-caller-identity*) echo "${STUB_ACCOUNT:-111122223333}" ;;
    *get-bucket-versioning*) echo "${STUB_VERSIONING:-Enabled}" ;;
    *get-bucket-encryption*) echo aws:kms ;;
    *head-object*) exit "${STUB_LOCKED:-1}" ;;
    *get-hosted-zone*) printf 'ns-1.example.net\tns-2.example.net\n'; exit "${STUB_ZONE:-0}" ;;
    *"ecr describe-images"*) exit "${STUB_IMAGE:-0}" ;;
    *get-object*) [ "${STUB_UNSIGNED:-0}" = 0 ] || exit 1
        for file in "$@"; do :; done
        case "$*" in
            */statement*) printf 'image %s\nsbom sha256:%s\n' "${STUB_SIGNED:-$DIGEST}" "$(printf '{}' | sha256sum | cut -d ' ' -f 1)" >"$file" ;;
            *) printf '{}' >"$file" ;;
        esac ;;
    *"kms verify"*) echo "${STUB_VALID:-True}" ;;
    *describe-image-scan-findings*) echo "${STUB_FINDINGS:-{\}}" ;;
    *"get-parameter --name /florin/staging/last-good"*) [ -n "${STUB_LAST:-}" ] || exit 1; echo "$STUB_LAST" ;;
    *"get-parameter --name /florin/"*"/last-good"*) exit 1 ;;
    *get-parameter*role_arns*) echo '{"chains":"arn:aws:iam::111122223333:role/c"}' ;;
    *get-parameter*target_group_arns*) echo '{"chains":"arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/c/1"}' ;;
    *get-parameter*bucket_names*) echo '{"blobs":"florin-staging-blobs-00000000"}' ;;
    *get-parameter*/efs_id*) echo fs-0123 ;;
    *get-parameter*/upstreams*) echo 'wallets=https://wallets.internal.example.com' ;;
    *get-parameter*/application_url*) echo https://api.example.com ;;
    *list-services*) echo 'arn:aws:ecs:us-west-2:111122223333:service/florin-staging/workers arn:aws:ecs:us-west-2:111122223333:service/florin-staging/not-yet' ;;
    *describe-services*) printf 'workers\tarn:old:1\t1\t%s\n' "${STUB_CONTROLLER:-ECS}" ;;
    *"deploy create-deployment"*) echo "d-$(grep -c 'deploy create-deployment' "$CALLS")"; exit "${STUB_DEPLOYMENT:-0}" ;;
    *"deploy wait"*) exit "${STUB_BAKED:-0}" ;;
    *"deploy stop-deployment"*) exit "${STUB_STOPPED:-0}" ;;
    *start-pipeline-execution*) echo 11111111-1111 ;;
    *get-pipeline-execution*) echo "${STUB_PIPELINE:-Succeeded}" ;;
    *describe-scalable-targets*) echo 2 ;;
    *run-task*) echo arn:task ;;
    *describe-tasks*) case $(tail -n 4 "$CALLS") in *topics*) echo "${STUB_TOPICS:-0}" ;; *) echo "${STUB_MIGRATED:-0}" ;; esac ;;
    *list-task-definitions*) echo arn:new:2 ;;
    *update-service*arn:new:2*) exit "${STUB_RELEASE:-0}" ;;
    *update-service*arn:old:1*) exit "${STUB_ROLLBACK:-0}" ;;
esac
exit 0
STUB
cat >"$WORK/bin/terraform" <<'STUB'
#!/bin/sh
echo "terraform $*" >>"$CALLS"
case "$1" in
    plan) exit "${STUB_PLAN:-2}" ;;
    show) case "$*" in *-json*) echo "${STUB_JSON:-{\"planned_values\":{\"root_module\":{\}\}\}}" ;; *) echo "${STUB_SHOW:-Plan: 1 to add, 0 to change, 0 to destroy.}" ;; esac ;;
    apply) echo 'Apply complete! Resources: 1 added'; exit "${STUB_APPLY:-0}" ;;
    output) echo https://api.example.com ;;
esac
exit 0
STUB
cat >"$WORK/bin/florin" <<'STUB'
#!/bin/sh
echo "florin $*" >>"$CALLS"
case "$*" in
    "aws check"*) echo 'good     waf          there'; exit "${STUB_CHECK:-0}" ;;
    "aws cost"*) echo "total ${STUB_TOTAL:-100} USD a month: 90 fixed, 10 by use"; echo 'budget 200 USD a month' ;;
    "aws quotas"*) echo 'good     vcpu   10 of 100'; exit "${STUB_QUOTAS:-0}" ;;
    "aws secrets init"*) echo "${STUB_SECRETS:-made      florin/staging/wallets/db}"; exit "${STUB_SECRETS_EXIT:-0}" ;;
esac
STUB
printf '#!/bin/sh\nexit 0\n' >"$WORK/bin/git"
# shellcheck disable=SC2016  # the stub expands it
printf '#!/bin/sh\necho "helm $*" >>"$CALLS"\n' >"$WORK/bin/helm"
cat >"$WORK/bin/kubectl" <<'STUB'
#!/bin/sh
echo "kubectl $*" >>"$CALLS"
case "$*" in
    version*) exit "${STUB_REACHED:-0}" ;;
    *"get deployments"*) [ -n "${STUB_PODS:-}" ] || exit 0
        echo 'aml 3'
        if grep -q 'kubectl apply' "$CALLS"; then echo 'chains 8'; else echo 'chains 7'; fi ;;
    *"rollout status"*) exit "${STUB_ROLLED:-0}" ;;
    *"rollout undo"*) exit "${STUB_UNDONE:-0}" ;;
esac
STUB
# shellcheck disable=SC2016  # the stub expands it
printf '#!/bin/sh\nprintf "%%s\\n" ${STUB_SERVERS:-ns-1.example.net. ns-2.example.net.}\n' >"$WORK/bin/dig"
chmod +x "$WORK/bin/"*

# try EXPECTED-CODE WORDS -- [NAME=VALUE...] -- ARGUMENTS: the code, and words of its message.
try() {
    wanted=$1 words=$2
    shift 3
    settings=''
    while [ "$1" != -- ]; do settings="$settings $1"; shift; done
    shift
    count=$((count + 1))
    rm -rf "$WORK/tree"
    mkdir -p "$WORK/tree"
    cp -r "$HERE/../aws" "$HERE/../kubernetes" "$HERE/../image" "$HERE/../tests" "$HERE/../roles.json" "$WORK/tree/"
    for environment in staging production; do
        root=$WORK/tree/aws/environments/$environment
        printf 'allowed_account_id = "111122223333"\nhosted_zone_id = "Z1"\ncontainer_image = "r/florin@%s"\n' "$DIGEST" >"$root/terraform.tfvars"
        cp "$root/backend.hcl.example" "$root/backend.hcl"
    done
    case " $settings " in *" NO_TFVARS=1 "*) rm "$WORK/tree/aws/environments/staging/terraform.tfvars" ;; esac
    case " $settings " in *" ENDED=1 "*) sed -i 's/end_of_support = .*/end_of_support = "2020-01-01"/' "$WORK/tree/aws/versions.toml" ;;
    *) sed -i 's/end_of_support = .*/end_of_support = "2999-01-01"/' "$WORK/tree/aws/versions.toml" ;; esac
    case " $settings " in *" DIGESTS=1 "*) sed -i "s/\"digest\": \"\"/\"digest\": \"$DIGEST\"/" "$WORK/tree/kubernetes/addons/addons.json" ;; esac
    : >"$WORK/calls"
    code=0
    # shellcheck disable=SC2086  # settings are words on purpose
    printf '%s\n' "${ANSWER:-staging}" | env $settings DIGEST="$DIGEST" CALLS="$WORK/calls" PATH="$WORK/bin:$PATH" AWS_REGION="${TEST_REGION:-us-west-2}" FLORIN_BIN=florin \
        FLORIN_DEPLOY_SKIP="${TEST_SKIP-kubernetes stable empty-plan}" "$WORK/tree/aws/deploy.sh" "$@" >"$WORK/out" 2>&1 || code=$?
    if [ "$code" != "$wanted" ] || ! grep -q "$words" "$WORK/out"; then
        echo "deploy.sh $*: exit $code, wanted $wanted with '$words'" >&2
        cat "$WORK/out" >&2
        exit 1
    fi
}
called() { grep -q -- "$1" "$WORK/calls" || { echo "not called: $1" >&2; cat "$WORK/calls" >&2; exit 1; }; }
uncalled() { ! grep -q -- "$1" "$WORK/calls" || { echo "called: $1" >&2; exit 1; }; }

# DEP-151: refusals before anything is touched.
try 3 'must be staging or production' -- -- --environment moon
try 3 'unknown option' -- -- --environment staging --force
try 3 'terraform.tfvars is missing' -- NO_TFVARS=1 -- --environment staging --plan
try 3 'this is account 999999999999' -- STUB_ACCOUNT=999999999999 -- --environment staging --plan
TEST_REGION=eu-west-1 try 3 'AWS_REGION is eu-west-1' -- -- --environment staging --plan
try 3 'keeps no versions' -- STUB_VERSIONING=Suspended -- --environment staging --plan
try 3 'holds the lock' -- STUB_LOCKED=0 -- --environment staging --plan
# DEP-018.
try 3 'is supported until 2020-01-01' -- ENDED=1 -- --environment staging --plan
try 2 'accepted: eks' -- ENDED=1 -- --environment staging --plan --accept-eol eks --accept-eol aurora-postgresql --accept-eol valkey --accept-eol kafka --accept-eol terraform-provider-aws
try 3 'no hosted zone' -- STUB_ZONE=1 -- --environment staging --plan
try 3 'is not delegated to the zone' -- STUB_SERVERS=ns-9.example.net. -- --environment staging --plan
try 3 'is not a digest' -- -- --environment staging --plan --image latest
try 3 'registry has no image' -- STUB_IMAGE=1 -- --environment staging --plan
try 3 'scan of the image found' -- 'STUB_FINDINGS={"HIGH":1}' -- --environment staging --plan
# DEP-115: an image that the pipeline did not sign, or whose SBOM was exchanged.
try 3 'the image has no statement' -- STUB_UNSIGNED=1 -- --environment staging --plan
try 3 'what was signed is another image' -- STUB_SIGNED=sha256:other -- --environment staging --plan
try 3 'the signature is not that of the pipeline' -- STUB_VALID=False -- --environment staging --plan
uncalled '^terraform'

# The plan.
try 0 'no changes' -- STUB_PLAN=0 STUB_SHOW=none -- --environment staging --plan
try 2 'Plan: 1 to add' -- -- --environment staging --plan
uncalled 'terraform apply'
try 3 'terraform plan failed' -- STUB_PLAN=1 -- --environment staging --plan
export STUB_SHOW='  # module.database.aws_rds_cluster.this[0] must be replaced'
try 3 'destroys module.database.aws_rds_cluster.this\[0\]' -- -- --environment staging --plan
try 2 'allowed: module.database' -- -- --environment staging --plan --allow-replace 'module.database.aws_rds_cluster.this[0]'
unset STUB_SHOW

try 3 'more than the account may have' -- STUB_QUOTAS=1 -- --environment staging --plan
try 2 'budget 200 USD' -- STUB_QUOTAS=2 -- --environment staging --plan
# Least privilege is judged before anything is made.
try 3 'the scan of the plan.s policies: .*s3:\*' -- 'STUB_JSON={"planned_values":{"root_module":{"resources":[{"type":"aws_iam_role_policy","address":"a.b","values":{"name":"run","policy":"{\"Statement\":[{\"Action\":\"s3:*\",\"Resource\":\"x\"}]}"}}]}}}' -- --environment staging --plan
uncalled 'terraform apply'

# The question, and who may leave it out.
ANSWER=no try 3 "'no' is not 'staging'" -- -- --environment staging
uncalled 'terraform apply'
ANSWER=staging try 0 'done: https://api.example.com' -- -- --environment staging
called 'terraform apply'
called 'florin aws secrets init --environment staging'
uncalled 'secret-string'
grep -qx 'FLORIN__GATEWAY__UPSTREAMS=wallets=https://wallets.internal.example.com' "$WORK/tree/kubernetes/overlays/staging/settings.env"
grep -qx 'BUCKET_BLOBS=florin-staging-blobs-00000000' "$WORK/tree/kubernetes/overlays/staging/settings.env"
grep -qx 'EFS_ID=fs-0123' "$WORK/tree/kubernetes/overlays/staging/outputs.env"
grep -q 'waiting: not-yet' "$WORK/out"
uncalled 'update-service .*not-yet'
called 'update-service .*--task-definition arn:new:2 --desired-count 2'
called 'put-parameter --name /florin/staging/last-good'
called 'run-task .*"command":\["migrate"\]'
uncalled 'create-db-cluster-snapshot'

# DEP-046: charts by digest, or not at all; then the units.
TEST_SKIP='stable empty-plan' try 4 'has no digest' -- -- --environment staging --auto-approve
uncalled 'kubectl apply'
TEST_SKIP='stable empty-plan' try 0 'installed: external-secrets' -- DIGESTS=1 -- --environment staging --auto-approve
called 'helm upgrade --install aws-load-balancer-controller oci://111122223333.dkr.ecr.us-west-2.amazonaws.com/mirror/charts/aws-load-balancer-controller@sha256:'
uncalled 'helm .*cert-manager'
called 'kubectl apply --server-side -k'

# Pods that do not come up go back to the revision that they had, those alone that this run changed.
TEST_SKIP='stable empty-plan' try 1 'turned back: pods of chains to revision 7' -- DIGESTS=1 STUB_PODS=1 STUB_ROLLED=1 -- --environment staging --auto-approve
called 'kubectl -n florin rollout undo deployment/chains --to-revision=7'
uncalled 'rollout undo deployment/aml'
uncalled 'update-service'
TEST_SKIP='stable empty-plan' try 4 'runbooks/roll-back.md' -- DIGESTS=1 STUB_PODS=1 STUB_ROLLED=1 STUB_UNDONE=1 -- --environment staging --auto-approve
TEST_SKIP='stable empty-plan' try 4 'runbooks/roll-back.md' -- DIGESTS=1 STUB_ROLLED=1 -- --environment staging --auto-approve
TEST_SKIP='stable empty-plan' try 1 'failed, rolled back' -- DIGESTS=1 STUB_PODS=1 STUB_RELEASE=1 -- --environment staging --auto-approve
called 'rollout undo deployment/chains --to-revision=7'

# DEP-082: topics before the units.
try 0 'topics: those of this version' -- -- --environment staging --auto-approve
called 'run-task .*"command":\["kafka","topics","apply"\]'
# DEP-081: for both users of each unit; the task's own among the operators.
called 'run-task .*"command":\["kafka","acls","--apply","--user","florin-staging-{role}_a","--user","florin-staging-{role}_b","--operator","florin-staging-wallets_a","--operator","florin-staging-wallets_b"\]'
try 4 'failed: topics' -- STUB_TOPICS=1 -- --environment staging --auto-approve
uncalled 'update-service'

# Failures. DEP-119: migrations run before any unit, and stop the release when they fail.
try 4 'failed: migrations' -- STUB_MIGRATED=1 -- --environment staging --auto-approve
uncalled 'update-service'
try 3 'values that vendors give' -- 'STUB_SECRETS=wanted:florin/staging/kyc/vendor' STUB_SECRETS_EXIT=1 -- --environment staging --auto-approve
uncalled 'update-service'
try 4 'values of secrets were not made' -- STUB_SECRETS=none STUB_SECRETS_EXIT=1 -- --environment staging --auto-approve
try 4 'terraform apply stopped' -- STUB_APPLY=1 -- --environment staging --auto-approve
uncalled 'update-service'
try 1 'failed, rolled back' -- STUB_RELEASE=1 -- --environment staging --auto-approve
called 'update-service .*--task-definition arn:old:1 --desired-count 1'
uncalled 'put-parameter'
try 4 'NOT rolled back: workers' -- STUB_RELEASE=1 STUB_ROLLBACK=1 -- --environment staging --auto-approve
try 4 'found something bad' -- STUB_CHECK=1 -- --environment staging --auto-approve

# A deployment under CodeDeploy that does not hold is turned round; one that ended is answered by one of the old.
STUB_LAST="$DIGEST 2999-01-01T00:00:00Z"
export STUB_LAST
TEST_SKIP='kubernetes empty-plan' try 0 'done:' -- STUB_CONTROLLER=CODE_DEPLOY -- --environment staging --auto-approve
called 'deploy wait deployment-successful --deployment-id d-1'
TEST_SKIP='kubernetes empty-plan' try 1 'turned round: workers, deployment d-1' -- STUB_CONTROLLER=CODE_DEPLOY STUB_BAKED=255 -- --environment staging --auto-approve
TEST_SKIP='kubernetes empty-plan' try 1 'failed, rolled back' -- STUB_CONTROLLER=CODE_DEPLOY STUB_BAKED=255 STUB_STOPPED=255 -- --environment staging --auto-approve
[ "$(grep -c 'deploy create-deployment' "$WORK/calls")" = 2 ] || { echo 'the old definition was not deployed' >&2; exit 1; }
unset STUB_LAST

# Outside the VPC the pipeline goes on, and this script follows it.
TEST_SKIP='stable empty-plan' try 0 'done: the pipeline succeeded' -- STUB_REACHED=1 -- --environment staging --auto-approve
uncalled 'terraform apply'
TEST_SKIP='stable empty-plan' try 4 'the pipeline ended as Failed' -- STUB_REACHED=1 STUB_PIPELINE=Failed -- --environment staging --auto-approve

# Production: staging first, and its own pipeline only may answer the question by itself.
try 3 'staging did not run' -- -- --environment production --plan
STUB_LAST="$DIGEST $(date -u -d '-9 days' +%Y-%m-%dT%H:%M:%SZ)"
export STUB_LAST
try 3 'staging ran this image 9 days ago' -- -- --environment production --plan
STUB_LAST="$DIGEST $(date -u +%Y-%m-%dT%H:%M:%SZ)"
try 2 'Plan: 1 to add' -- -- --environment production --plan
# A later release: what was there before the migrations is kept.
ANSWER=staging try 0 'migrated' -- -- --environment staging
called 'create-db-cluster-snapshot'
try 3 'the budget is 200' -- STUB_TOTAL=201 STUB_ARN=arn:aws:sts::111122223333:assumed-role/florin-deploy-production/x -- --environment production --auto-approve
try 0 'done:' -- STUB_ARN=arn:aws:sts::111122223333:assumed-role/florin-deploy-production/x -- --environment production --auto-approve
try 3 'only in its pipeline' -- -- --environment production --auto-approve
uncalled 'terraform apply'
ANSWER=staging try 3 "'staging' is not 'production'" -- -- --environment production

echo "  $count runs of deploy.sh"
