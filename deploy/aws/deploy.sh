#!/bin/sh
# Brings an environment of Florin on AWS to what Terraform and units.json say (DEP-151). POSIX sh.
#
#   deploy.sh --environment staging|production [--plan] [--auto-approve] [--image DIGEST]
#             [--accept-eol NAME] [--allow-replace ADDRESS]
#
# Exit: 0 done | 1 failed, rolled back | 2 changes pending (--plan) | 3 refused by a check |
#       4 failed and not rolled back.
# Needs terraform, the AWS command line and the florin program, with a role taken. Runs where it
# stands: values come from environments/<name>/main.tf and terraform.tfvars, the state's place from
# backend.hcl beside them. FLORIN_BIN is the florin program; FLORIN_API_KEY, when set, lets the
# check after a release move a cent; FLORIN_DEPLOY_SKIP names steps that this
# run leaves out, each said aloud: kubernetes, stable, empty-plan, check, rotation, migrations,
# delegation, quotas. FLORIN_DEPLOY_PLAN_JSON names a file for the plan as JSON. Where the API of the
# cluster is not reached from here, the pipeline is started instead, and its log followed.
set -eu

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
ENVIRONMENT='' PLAN_ONLY='' APPROVE='' IMAGE='' ACCEPT_EOL='' ALLOW_REPLACE=''
FLORIN_BIN=${FLORIN_BIN:-florin}
SKIP=" ${FLORIN_DEPLOY_SKIP:-} "
STABLE_S=900
# Ten steps of a minute, fifteen minutes of both colours, and some air.
BLUE_GREEN_S=2700
PLATFORM=florin

usage() { sed -n '4,5p' "$0" | sed 's/^# *//'; }
while [ $# -gt 0 ]; do
    case $1 in
        --environment) ENVIRONMENT=${2:-}; shift 2 ;;
        --plan) PLAN_ONLY=yes; shift ;;
        --auto-approve) APPROVE=yes; shift ;;
        --image) IMAGE=${2:-}; shift 2 ;;
        --accept-eol) ACCEPT_EOL="$ACCEPT_EOL ${2:-} "; shift 2 ;;
        --allow-replace) ALLOW_REPLACE="$ALLOW_REPLACE
${2:-}"; shift 2 ;;
        -h | --help) usage; exit 0 ;;
        *) echo "deploy.sh: unknown option $1" >&2; usage >&2; exit 3 ;;
    esac
done

case $ENVIRONMENT in
    staging | production) ;;
    *) echo "deploy.sh: --environment must be staging or production" >&2; usage >&2; exit 3 ;;
esac
ROOT=$HERE/environments/$ENVIRONMENT
NAME=$PLATFORM-$ENVIRONMENT
LOG=$HERE/deploy-$ENVIRONMENT-$(date -u +%Y%m%dT%H%M%SZ).log
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

say() { echo "$*" | tee -a "$LOG" >&2; }
refuse() { say "refused: $1"; say "hint: $2"; exit 3; }
skipped() { case $SKIP in *" $1 "*) say "skipped: $1 ($2)"; return 0 ;; *) return 1 ;; esac; }
# A value of terraform.tfvars: name = "value".
setting() { sed -n "s/^$1 *= *\"\\(.*\\)\".*/\\1/p" "$ROOT/terraform.tfvars" | head -n 1; }
aws_text() { aws "$@" --output text; }

# --- before --------------------------------------------------------------------------------

check_tools() {
    for tool in terraform aws "$FLORIN_BIN"; do
        command -v "$tool" >/dev/null || refuse "$tool is not installed" "see docs/operate/aws.md; FLORIN_BIN names the florin program"
    done
    [ -f "$ROOT/terraform.tfvars" ] || refuse "$ROOT/terraform.tfvars is missing" "copy terraform.tfvars.example and fill it in"
    [ -f "$ROOT/backend.hcl" ] || refuse "$ROOT/backend.hcl is missing" "copy backend.hcl.example; bootstrap/ makes the bucket"
}

check_identity() {
    ACCOUNT=$(setting allowed_account_id)
    found=$(aws_text sts get-caller-identity --query Account) || refuse "nobody is logged in" "take a role of the account first"
    CALLER=$(aws_text sts get-caller-identity --query Arn)
    [ "$found" = "$ACCOUNT" ] || refuse "this is account $found, not $ACCOUNT" "take a role of $ACCOUNT"
    REGION=$(sed -n 's/^ *aws_region *= *"\(.*\)".*/\1/p' "$ROOT/main.tf" | head -n 1)
    [ -n "$REGION" ] || refuse "$ROOT/main.tf names no aws_region" "locals { aws_region = \"us-west-2\" }"
    [ "${AWS_REGION:-${AWS_DEFAULT_REGION:-}}" = "$REGION" ] || refuse "AWS_REGION is ${AWS_REGION:-not set}" "export AWS_REGION=$REGION"
    say "account $ACCOUNT, region $REGION, as $CALLER"
}

check_tree() {
    [ "$ENVIRONMENT" = production ] || return 0
    [ -z "$(git -C "$HERE" status --porcelain)" ] || refuse "there are changes that are not committed" "commit them, let staging run with them"
    git -C "$HERE" merge-base --is-ancestor HEAD main || refuse "this commit is not on main" "merge it first"
}

check_state() {
    bucket=$(sed -n 's/^bucket *= *"\(.*\)".*/\1/p' "$ROOT/backend.hcl")
    versioning=$(aws_text s3api get-bucket-versioning --bucket "$bucket" --query Status) || refuse "no state bucket $bucket" "run bootstrap/ once"
    [ "$versioning" = Enabled ] || refuse "the state bucket keeps no versions" "run bootstrap/ again"
    encryption=$(aws_text s3api get-bucket-encryption --bucket "$bucket" --query 'ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm') || encryption=none
    [ "$encryption" = aws:kms ] || refuse "the state bucket is encrypted by $encryption" "run bootstrap/ again"
    key=$(sed -n 's/^key *= *"\(.*\)".*/\1/p' "$ROOT/backend.hcl")
    if aws s3api head-object --bucket "$bucket" --key "$key.tflock" >/dev/null 2>&1; then
        refuse "somebody holds the lock of the state" "wait; if nobody does: terraform force-unlock"
    fi
}

# DEP-018. versions.toml: [[version]] name, version, end_of_support.
check_ends() {
    today=$(date -u +%s)
    awk -F'"' '/^name/ { n = $2 } /^version/ { v = $2 } /^end_of_support/ { print n, v, $2 }' "$HERE/versions.toml" >"$WORK/ends"
    while read -r name version end; do
        days=$((($(date -u -d "$end" +%s) - today) / 86400))
        if [ "$days" -lt 30 ]; then
            case $ACCEPT_EOL in
                *" $name "*) say "accepted: $name $version is supported for $days days more" ;;
                *) refuse "$name $version is supported until $end" "upgrade, or say --accept-eol $name" ;;
            esac
        elif [ "$days" -lt 180 ]; then
            say "warning: $name $version is supported until $end ($days days)"
        fi
    done <"$WORK/ends"
}

check_zone() {
    zone=$(setting hosted_zone_id)
    aws_text route53 get-hosted-zone --id "$zone" --query 'DelegationSet.NameServers' >"$WORK/servers" 2>/dev/null || refuse "there is no hosted zone $zone" "make it and delegate the domain to it"
    skipped delegation 'nobody asks the public DNS here' && return 0
    command -v dig >/dev/null || { say "skipped: delegation of the domain (no dig)"; return 0; }
    domain=$(setting domain_name)
    dig +short NS "$domain" | sed 's/\.$//' | sort >"$WORK/delegated"
    xargs -n 1 <"$WORK/servers" | sed 's/\.$//' | sort >"$WORK/wanted-servers"
    cmp -s "$WORK/delegated" "$WORK/wanted-servers" || refuse "$domain is not delegated to the zone $zone" "let the registrar name these: $(tr '\n' ' ' <"$WORK/wanted-servers")"
}

check_image() {
    reference=$(setting container_image)
    DIGEST=${IMAGE:-${reference##*@}}
    case $DIGEST in
        sha256:*) ;;
        *) refuse "the image $DIGEST is not a digest" "give --image sha256:..., never a tag" ;;
    esac
    aws ecr describe-images --repository-name florin --image-ids "imageDigest=$DIGEST" >/dev/null 2>&1 ||
        refuse "the registry has no image $DIGEST" "push it, or give another one with --image"
    counts=$(aws ecr describe-image-scan-findings --repository-name florin --image-id "imageDigest=$DIGEST" \
        --query 'imageScanFindings.findingSeverityCounts' --output json 2>/dev/null) || refuse "the image was not scanned" "wait for the scan"
    case $counts in
        *CRITICAL* | *HIGH*) refuse "the scan of the image found: $(echo "$counts" | tr -d '\n {}')" "repair it, build again" ;;
    esac
    STATE_BUCKET=$(sed -n 's/^bucket *= *"\(.*\)".*/\1/p' "$ROOT/backend.hcl")
    why=$("$HERE/../image/verify.sh" "$DIGEST" "$STATE_BUCKET" "alias/$PLATFORM-image") ||
        refuse "$why" "images are signed by the pipeline; by hand: deploy/image/sign.sh"
    IMAGE_URI=$ACCOUNT.dkr.ecr.$REGION.amazonaws.com/florin@$DIGEST
    say "image $DIGEST: there, scanned, signed, with its SBOM"
}

check_backup() {
    if ! aws_text ssm get-parameter --name "/florin/$ENVIRONMENT/last-good" --query Parameter.Value >"$WORK/last-good" 2>/dev/null; then
        : >"$WORK/last-good"
        say "skipped: age of the last backup (this is the first deployment)"
        return 0
    fi
    newest=$(aws_text backup list-recovery-points-by-backup-vault --backup-vault-name "$NAME" --query 'max_by(RecoveryPoints, &CreationDate).CreationDate' 2>/dev/null) || newest=None
    [ "$newest" != None ] || { say "warning: there is no backup yet"; return 0; }
    age=$((($(date -u +%s) - $(date -u -d "$newest" +%s)) / 3600))
    [ "$age" -lt 24 ] || refuse "the last backup is $age hours old" "find out why before changing anything"
}

check_staging() {
    [ "$ENVIRONMENT" = production ] || return 0
    marker=$(aws_text ssm get-parameter --name /florin/staging/last-good --query Parameter.Value 2>/dev/null) || marker=''
    case $marker in
        "$DIGEST "*) ;;
        *) refuse "staging did not run $DIGEST" "deploy it to staging first" ;;
    esac
    days=$((($(date -u +%s) - $(date -u -d "${marker#* }" +%s)) / 86400))
    [ "$days" -le 7 ] || refuse "staging ran this image $days days ago" "deploy it to staging again"
}

# --- plan ----------------------------------------------------------------------------------

STATEFUL='aws_rds_cluster|aws_db_instance|aws_elasticache_replication_group|aws_msk_cluster|aws_s3_bucket|aws_kms_key|aws_kms_replica_key|aws_efs_file_system|aws_route53_zone|aws_ebs_volume|aws_backup_vault|aws_cognito_user_pool'

make_plan() {
    cd "$ROOT"
    terraform init -input=false -no-color -backend-config=backend.hcl >>"$LOG" 2>&1 || refuse "terraform init failed, see $LOG" "is the provider reachable? is backend.hcl right?"
    terraform validate -no-color >>"$LOG" 2>&1 || refuse "the configuration is not valid, see $LOG" "terraform validate"
    pending=0
    terraform plan -input=false -no-color -detailed-exitcode -out="$WORK/plan" -var "container_image=$IMAGE_URI" >>"$LOG" 2>&1 || pending=$?
    [ "$pending" != 1 ] || refuse "terraform plan failed: $(grep -m 1 '^Error' "$LOG" || true)" "see $LOG"
    terraform show -no-color "$WORK/plan" >"$WORK/plan.txt"
    say "$(grep -m 1 -E '^(Plan:|No changes)' "$WORK/plan.txt" || echo 'no changes to resources')"
    sed -n -E "s/^ *# (.*\\.($STATEFUL)\\.[^ ]*) (will be destroyed|must be replaced).*/\\1/p" "$WORK/plan.txt" >"$WORK/danger"
    while read -r address; do
        echo "$ALLOW_REPLACE" | grep -qxF "$address" || refuse "the plan destroys $address" "if that is meant: --allow-replace '$address'"
        say "allowed: $address goes"
    done <"$WORK/danger"
    terraform show -json "$WORK/plan" >"$WORK/plan.json"
    # What is there now, to tell the difference to; nothing at the first deployment.
    terraform show -json >"$WORK/now.json" 2>/dev/null || echo '{}' >"$WORK/now.json"
    [ -z "${FLORIN_DEPLOY_PLAN_JSON:-}" ] || cp "$WORK/plan.json" "$FLORIN_DEPLOY_PLAN_JSON"
    prices=$(find "$HERE/prices" -name '*.csv' | sort | tail -n 1)
    "$FLORIN_BIN" aws cost --plan "$WORK/plan.json" --compare "$WORK/now.json" --prices "$prices" --usage "$HERE/usage/$ENVIRONMENT.toml" >"$WORK/cost" 2>&1 || say "warning: some resources have no price"
    sed -n '/^total/,$p' "$WORK/cost" | while read -r line; do say "cost: $line"; done
    scan_plan
    check_quotas
}

# Least privilege of the policies that the plan makes (part D1 of the contract).
scan_plan() {
    command -v python3 >/dev/null || { say "skipped: scan of the plan's policies (no python3)"; return 0; }
    python3 "$HERE/../tests/checks.py" iam "$WORK/plan.json" >"$WORK/scan" 2>&1 || refuse "the scan of the plan's policies: $(grep -m 3 -v looked "$WORK/scan" | tr '\n' ';')" "repair the policy; what may stand with a star is listed in policies/star-allowed.toml"
    say "scanned: $(sed -n 's/^ *//p' "$WORK/scan" | tail -n 1)"
}

# What the account may have at all: processors, addresses, rules.
check_quotas() {
    skipped quotas 'the account has none' && return 0
    outcome=0
    "$FLORIN_BIN" aws quotas --plan "$WORK/plan.json" >"$WORK/quotas" 2>>"$LOG" || outcome=$?
    while IFS= read -r line; do say "quota: $line"; done <"$WORK/quotas"
    [ "$outcome" != 1 ] || refuse "the plan needs more than the account may have" "ask for more in the console of Service Quotas"
}

ask() {
    if [ -n "$APPROVE" ]; then
        [ "$ENVIRONMENT" = production ] || return 0
        [ ! -s "$WORK/danger" ] || refuse "a plan that destroys data is never approved by itself" "run it by hand"
        total=$(sed -n 's/^total \([0-9]*\) USD.*/\1/p' "$WORK/cost")
        budget=$(sed -n 's/^budget \([0-9]*\) USD.*/\1/p' "$WORK/cost")
        [ "${total:-999999999}" -le "${budget:-0}" ] || refuse "the plan costs ${total:-an unknown sum}, the budget is ${budget:-unknown}" "raise budget_monthly_usd, or run it by hand"
        case $CALLER in
            *deploy-production* | *github-production*) return 0 ;;
            *) refuse "production is approved by itself only in its pipeline" "leave --auto-approve out" ;;
        esac
    fi
    printf 'Type the name of the environment to go on: ' >&2
    read -r answer
    [ "$answer" = "$ENVIRONMENT" ] || refuse "'$answer' is not '$ENVIRONMENT'" "nothing was changed"
}

# Outside the VPC nothing could be put into the cluster: the pipeline's deploy project can.
elsewhere() {
    case $SKIP in *" kubernetes "*) return 0 ;; esac
    [ -z "${CODEBUILD_BUILD_ID:-}" ] || return 0
    aws eks update-kubeconfig --name "$NAME" --kubeconfig "$WORK/kubeconfig" >>"$LOG" 2>&1 || return 0
    ! KUBECONFIG=$WORK/kubeconfig kubectl version --request-timeout=10s >>"$LOG" 2>&1 || return 0
    execution=$(aws_text codepipeline start-pipeline-execution --name "$NAME" --query pipelineExecutionId 2>>"$LOG") || return 0
    say "the API of the cluster is not reached from here: the pipeline goes on, execution $execution"
    waited=0
    while :; do
        status=$(aws_text codepipeline get-pipeline-execution --pipeline-name "$NAME" --pipeline-execution-id "$execution" --query pipelineExecution.status) || status=Unknown
        case $status in
            InProgress) ;;
            Succeeded) say "done: the pipeline succeeded"; exit 0 ;;
            *) say "failed: the pipeline ended as $status"; say "hint: docs/operate/runbooks/roll-back.md"; exit 4 ;;
        esac
        aws_text logs filter-log-events --log-group-name "/$PLATFORM/$ENVIRONMENT/build" --start-time "$((($(date -u +%s) - 30) * 1000))" --query 'events[].message' 2>>"$LOG" | tr '\t' '\n' | while IFS= read -r line; do say "  $line"; done
        waited=$((waited + 30))
        [ "$waited" -lt "${FLORIN_DEPLOY_FOLLOW_S:-7200}" ] || { say "the pipeline still runs; it goes on without this script"; exit 2; }
        sleep 30
    done
}

# --- apply ---------------------------------------------------------------------------------

# The program makes the values that are missing and that anybody can make, and puts what vendors
# gave; none of them passes through this script.
make_secrets() {
    set -- aws secrets init --environment "$ENVIRONMENT"
    if skipped rotation 'the users of the database are made by a function in the VPC'; then set -- "$@" --no-rotation; fi
    outcome=0
    "$FLORIN_BIN" "$@" >"$WORK/secrets" 2>>"$LOG" || outcome=$?
    while IFS= read -r line; do say "secret: $line"; done <"$WORK/secrets"
    if grep -q '^wanted' "$WORK/secrets"; then
        refuse "values that vendors give are missing" "put them into files <unit>/<what> below a folder, and name it in FLORIN_VENDOR_SECRETS"
    fi
    [ "$outcome" = 0 ] || { say "failed: values of secrets were not made, see $LOG"; exit 4; }
}

# outputs.env and settings.env of the overlay, from Parameter Store.
write_outputs() {
    overlay=$HERE/../kubernetes/overlays/$ENVIRONMENT
    parameter() { aws_text ssm get-parameter --name "/florin/$ENVIRONMENT/$1" --query Parameter.Value; }
    {
        echo "ENVIRONMENT=$ENVIRONMENT"
        echo "EFS_ID=$(parameter efs_id)"
        echo "CONTAINER_IMAGE=$IMAGE_URI"
        for kind in role_arns target_group_arns; do
            prefix=ROLE
            [ "$kind" = role_arns ] || prefix=TARGETS
            parameter "$kind" | tr -d '{}" ' | tr ',' '\n' | while IFS= read -r pair; do
                unit=$(echo "${pair%%:*}" | tr 'a-z-' 'A-Z_')
                echo "${prefix}_$unit=${pair#*:}"
            done
        done
    } >"$overlay/outputs.env"
    {
        url=$(parameter application_url)
        echo "FLORIN__SERVER__PUBLIC_URL=$url"
        echo "FLORIN__AUTH__ISSUER=$url"
        echo "FLORIN__GATEWAY__UPSTREAMS=$(parameter upstreams)"
        # The recovery region has no brokers before a failover.
        brokers=$(parameter bootstrap_brokers 2>/dev/null) || brokers=
        echo "KAFKA_URL=${brokers:+kafkas://$brokers}"
        parameter bucket_names | tr -d '{}" ' | tr ',' '\n' | while IFS= read -r pair; do
            echo "BUCKET_$(echo "${pair%%:*}" | tr 'a-z-' 'A-Z_')=${pair#*:}"
        done
    } >"$overlay/settings.env"
    say "wrote outputs.env and settings.env of $overlay"
}

# Charts of the cluster, from the mirror in the own registry, by digest (DEP-046).
addons() {
    command -v helm >/dev/null || { say "failed: helm is missing"; return 1; }
    charts=$HERE/../kubernetes/addons
    roles=$(aws_text ssm get-parameter --name "/florin/$ENVIRONMENT/role_arns" --query Parameter.Value | tr -d '{}" ' | tr ',' '\n')
    awk -F'"' '/"name"/ { n = $4 } /"version"/ { v = $4 } /"namespace"/ { s = $4 } /"digest"/ { d = $4 } /"option": false/ { print n, v, s, (d == "" ? "-" : d) }' "$charts/addons.json" >"$WORK/charts"
    while read -r chart version namespace digest; do
        [ "$digest" != - ] || { say "failed: chart $chart $version has no digest"; say "hint: mirror it, read it, put its digest into $charts/addons.json"; return 1; }
        role=$(echo "$roles" | sed -n "s/^$chart://p")
        sed "s,clusterName: set-by-deploy,clusterName: $NAME,; s,role-arn: set-by-deploy,role-arn: $role," "$charts/$chart.yaml" >"$WORK/$chart.yaml"
        KUBECONFIG=$WORK/kubeconfig helm upgrade --install "$chart" "oci://$ACCOUNT.dkr.ecr.$REGION.amazonaws.com/mirror/charts/$chart@$digest" \
            --namespace "$namespace" --create-namespace --values "$WORK/$chart.yaml" --wait --timeout "${STABLE_S}s" >>"$LOG" 2>&1 || { say "failed: chart $chart"; return 1; }
        say "installed: $chart $version"
    done <"$WORK/charts"
}

kubernetes() {
    write_outputs
    skipped kubernetes 'no cluster is reached' && return 0
    command -v kubectl >/dev/null || { say "failed: kubectl is missing"; return 1; }
    aws eks update-kubeconfig --name "$NAME" --kubeconfig "$WORK/kubeconfig" >>"$LOG" 2>&1
    KUBECONFIG=$WORK/kubeconfig kubectl version --request-timeout=10s >>"$LOG" 2>&1 || {
        say "failed: the API of the cluster is private and not reached from here"
        say "hint: run the deploy project of the pipeline, which stands in the VPC"
        return 1
    }
    addons || return 1
    # The first time there is no namespace.
    pods >"$WORK/pods" 2>>"$LOG" || : >"$WORK/pods"
    KUBECONFIG=$WORK/kubeconfig kubectl apply --server-side -k "$overlay" >>"$LOG" 2>&1 || return 1
    KUBECONFIG=$WORK/kubeconfig kubectl -n florin rollout status deployment --timeout="${STABLE_S}s" >>"$LOG" 2>&1
}

# Each deployment with its revision.
pods() {
    KUBECONFIG=$WORK/kubeconfig kubectl -n florin get deployments -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations.deployment\.kubernetes\.io/revision}{"\n"}{end}'
}

# What this run changed in the cluster goes back to the revision before; what is new stays.
pods_back() {
    [ -f "$WORK/pods" ] || return 0
    pods >"$WORK/pods-now" 2>>"$LOG" || return 1
    while read -r name revision; do
        before=$(sed -n "s/^$name //p" "$WORK/pods")
        if [ -z "$before" ] || [ "$before" = "$revision" ]; then continue; fi
        KUBECONFIG=$WORK/kubeconfig kubectl -n florin rollout undo "deployment/$name" --to-revision="$before" >>"$LOG" 2>&1 || return 1
        say "turned back: pods of $name to revision $before"
    done <"$WORK/pods-now"
}

# run_task COMMAND: one task of the wallets' definition; its words come as a JSON list.
run_task() {
    network=$(aws ecs describe-services --cluster "$NAME" --services wallets --query 'services[0].networkConfiguration' --output json)
    task=$(aws_text ecs run-task --cluster "$NAME" --launch-type FARGATE --task-definition "$NAME-wallets" --network-configuration "$network" \
        --overrides "{\"containerOverrides\":[{\"name\":\"florin\",\"command\":$1}]}" --query 'tasks[0].taskArn') || return 1
    timeout "$STABLE_S" aws ecs wait tasks-stopped --cluster "$NAME" --tasks "$task" || return 1
    # Other containers stand beside it, in no certain order.
    code=$(aws_text ecs describe-tasks --cluster "$NAME" --tasks "$task" --query "tasks[0].containers[?name=='florin'] | [0].exitCode")
    [ "$code" = 0 ] || { say "the task of $1 ended with $code"; return 1; }
}

# One task brings the tables up to this version before any unit of it runs; what was there is kept
# in a snapshot (DEP-069, DEP-119).
migrate() {
    skipped migrations 'nothing runs tasks here' && return 0
    if [ -s "$WORK/last-good" ]; then
        aws rds create-db-cluster-snapshot --db-cluster-identifier "$NAME-database" --db-cluster-snapshot-identifier "$NAME-before-$(date -u +%Y%m%d%H%M%S)" >>"$LOG" 2>&1 || return 1
    fi
    run_task '["migrate"]' || return 1
    say "migrated: tables are those of this version"
}

# DEP-082: topics come from the table of this version alone. DEP-081: each unit may do at the
# brokers what its roles do, whichever of its two users it has; tasks run as those of wallets.
topics() {
    skipped migrations 'nothing runs tasks here' && return 0
    run_task '["kafka","topics","apply"]' || return 1
    say "topics: those of this version"
    run_task "$(printf '["kafka","acls","--apply","--user","%s-{role}_a","--user","%s-{role}_b","--operator","%s-wallets_a","--operator","%s-wallets_b"]' "$NAME" "$NAME" "$NAME" "$NAME")" || return 1
    say "lists of the brokers: those of this version"
}

# turn SERVICE CONTROLLER DEFINITION COUNT: lets a service run a definition; under CodeDeploy by a
# deployment, whose id goes to $WORK/deployments.
turn() {
    if [ "$2" = CODE_DEPLOY ] && [ -s "$WORK/last-good" ]; then
        printf '{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":"%s","LoadBalancerInfo":{"ContainerName":"florin","ContainerPort":8443}}}}]}' "$3" >"$WORK/appspec"
        content=$(sed 's/"/\\"/g' "$WORK/appspec")
        printf '{"applicationName":"%s","deploymentGroupName":"%s","revision":{"revisionType":"AppSpecContent","appSpecContent":{"content":"%s"}}}' "$NAME" "$1" "$content" >"$WORK/deployment.json"
        made=$(aws_text deploy create-deployment --cli-input-json "file://$WORK/deployment.json" --query deploymentId 2>>"$LOG") || return 1
        echo "$1 $made" >>"$WORK/deployments"
    elif [ "$2" = CODE_DEPLOY ]; then
        aws ecs update-service --cluster "$NAME" --service "$1" --desired-count "$4" >>"$LOG" 2>&1
    else
        aws ecs update-service --cluster "$NAME" --service "$1" --task-definition "$3" --desired-count "$4" >>"$LOG" 2>&1
    fi
}

# Every service runs the newest definition with at least its smallest count.
release() {
    services=$(aws_text ecs list-services --cluster "$NAME" --query 'serviceArns[]')
    : >"$WORK/before"
    : >"$WORK/deployments"
    for arn in $services; do
        service=${arn##*/}
        # Units of rooms that this version does not have wait with no task.
        if ! grep -qx " *\"$service\",*" "$HERE/../roles.json"; then
            say "waiting: $service, which this version does not have"
            continue
        fi
        # shellcheck disable=SC2016  # backticks belong to the query
        # Under CodeDeploy the definition stands in the task set that is served.
        aws_text ecs describe-services --cluster "$NAME" --services "$service" \
            --query 'services[0].[serviceName, taskDefinition || (taskSets[?status==`PRIMARY`] | [0].taskDefinition), desiredCount, deploymentController.type]' >"$WORK/now"
        cat "$WORK/now" >>"$WORK/before"
        read -r _ _ running controller <"$WORK/now"
        minimum=$(aws_text application-autoscaling describe-scalable-targets --service-namespace ecs --resource-ids "service/$NAME/$service" --query 'ScalableTargets[0].MinCapacity')
        definition=$(aws_text ecs list-task-definitions --family-prefix "$NAME-$service" --sort DESC --query 'taskDefinitionArns[0]')
        [ "$running" -ge "$minimum" ] || running=$minimum
        turn "$service" "$controller" "$definition" "$running" || return 1
        say "released: $service, $running tasks"
    done
    skipped stable 'nothing runs tasks here' && return 0
    while read -r service made; do
        timeout "$BLUE_GREEN_S" aws deploy wait deployment-successful --deployment-id "$made" || { say "failed: the deployment $made of $service"; return 1; }
    done <"$WORK/deployments"
    for arn in $services; do
        grep -qx " *\"${arn##*/}\",*" "$HERE/../roles.json" || continue
        timeout "$STABLE_S" aws ecs wait services-stable --cluster "$NAME" --services "${arn##*/}" || return 1
    done
}

roll_back() {
    say "rolling back to what ran before"
    failed=''
    # A deployment that is under way is turned round; one that ended is answered by one of the old.
    cp "$WORK/deployments" "$WORK/made" 2>/dev/null || : >"$WORK/made"
    while read -r service definition count controller; do
        made=$(sed -n "s/^$service //p" "$WORK/made" | tail -n 1)
        if [ -n "$made" ] && aws deploy stop-deployment --deployment-id "$made" --auto-rollback-enabled >>"$LOG" 2>&1; then
            say "turned round: $service, deployment $made"
            continue
        fi
        turn "$service" "$controller" "$definition" "$count" || failed="$failed $service"
    done <"$WORK/before"
    pods_back || failed="$failed pods"
    if [ -n "$failed" ]; then
        say "failed and NOT rolled back:$failed"
        say "hint: docs/operate/runbooks/roll-back.md"
        exit 4
    fi
    say "failed, rolled back; see $LOG"
    exit 1
}

# --- after ---------------------------------------------------------------------------------

check_after() {
    skipped check 'asked for' && return 0
    outcome=0
    "$FLORIN_BIN" aws check --environment "$ENVIRONMENT" ${FLORIN_API_KEY:+--smoke} ${FLORIN_APPLICATION_URL:+--application-url "$FLORIN_APPLICATION_URL"} >"$WORK/check" 2>>"$LOG" || outcome=$?
    cat "$WORK/check" >>"$LOG"
    grep -v '^good' "$WORK/check" >&2 || true
    [ "$outcome" != 1 ] || return 1
    say "checked: $(grep -c '^good' "$WORK/check") good, $(grep -c '^unknown' "$WORK/check" || true) unknown, $(grep -c '^skipped' "$WORK/check" || true) skipped"
}

finish() {
    if ! skipped empty-plan 'the endpoint reads back incompletely'; then
        terraform plan -input=false -no-color -detailed-exitcode -var "container_image=$IMAGE_URI" >>"$LOG" 2>&1 || say "warning: a second plan is not empty, see $LOG"
    fi
    aws ssm put-parameter --name "/florin/$ENVIRONMENT/last-good" --type String --overwrite --value "$DIGEST $(date -u +%Y-%m-%dT%H:%M:%SZ)" >/dev/null
    say "done: $(terraform output -raw application_url)"
    say "dashboard: $(terraform output -raw cloudwatch_dashboard_url)"
    say "to roll back: $0 --environment $ENVIRONMENT --image $(cut -d ' ' -f 1 "$WORK/last-good" | grep . || echo '<the digest before>')"
}

say "== before"
check_tools
check_identity
check_tree
check_state
check_ends
check_zone
check_image
check_backup
check_staging
say "== plan"
make_plan
if [ -n "$PLAN_ONLY" ]; then
    [ "$pending" = 0 ] && exit 0
    exit 2
fi
ask
elsewhere
say "== apply"
if ! terraform apply -input=false -no-color "$WORK/plan" >>"$LOG" 2>&1; then
    say "failed: terraform apply stopped: $(grep -m 1 '^Error' "$LOG" || true)"
    say "hint: nothing was released; repair and run again, or apply the commit before. See $LOG"
    exit 4
fi
say "applied: $(grep -m 1 '^Apply complete' "$LOG" || echo 'nothing to do')"
make_secrets
migrate || { say "failed: migrations; nothing was released, the units before run on"; say "hint: docs/operate/runbooks/roll-back.md"; exit 4; }
topics || { say "failed: topics; nothing was released, the units before run on"; say "hint: docs/operate/runbooks/kafka-lag.md"; exit 4; }
if ! kubernetes; then
    say "failed: Kubernetes"
    if [ -s "$WORK/pods" ] && pods_back; then
        say "failed, rolled back; see $LOG"
        exit 1
    fi
    say "hint: docs/operate/runbooks/roll-back.md"
    exit 4
fi
release || roll_back
say "== after"
check_after || { say "the check found something bad"; [ -s "$WORK/last-good" ] && roll_back; exit 4; }
finish
