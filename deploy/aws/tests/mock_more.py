"""Starts the mock of AWS with the calls that this stack needs beyond the start file.

The start file (mock_aws.py, beside the repository or named by FLORIN_MOCK_AWS) completes moto for
a representative stack. Here stand the few calls that only this stack makes. Nothing here decides
anything: it stores what it is given and gives it back, so that Terraform can create, read and
delete. Usage: mock_more.py <folder of the start file> -H 127.0.0.1 -p PORT
"""
import json
import sys
from collections import defaultdict
from urllib.parse import unquote

sys.path.insert(0, sys.argv.pop(1))
import mock_aws  # noqa: E402,F401  the start file patches moto when it is imported
from moto.core.responses import ActionResult  # noqa: E402

STORE = defaultdict(dict)


def body(self):
    return json.loads(self.body or "{}")


def not_found(kind="ResourceNotFoundException"):
    return 404, {"status": 404, "x-amzn-errortype": kind}, json.dumps({"message": "not found"})


# --- EKS access entries and their policies
import moto.eks.urls as eks_urls  # noqa: E402
from moto.eks.responses import EKSResponse  # noqa: E402


def eks_path(self):
    parts = self.uri.split("?")[0].split("/clusters/")[1].split("/")
    return [unquote(part) for part in parts]


def entry_create(self):
    cluster, given = eks_path(self)[0], body(self)
    arn = given["principalArn"]
    entry = {
        "clusterName": cluster, "principalArn": arn, "type": given.get("type", "STANDARD"), "kubernetesGroups": [],
        "accessEntryArn": f"arn:aws:eks:{self.region}:{self.current_account}:access-entry/{cluster}/{arn.split('/')[-1]}",
        "createdAt": 1, "modifiedAt": 1, "tags": given.get("tags", {}), "username": arn,
    }
    STORE["entries"][(cluster, arn)] = entry
    return ActionResult({"accessEntry": entry})


def entry_key(self):
    path = self.uri.split("?")[0].split("/clusters/")[1]
    cluster, rest = path.split("/access-entries/")
    return cluster, unquote(rest.split("/access-policies")[0])


def entry_get(self):
    entry = STORE["entries"].get(entry_key(self))
    return ActionResult({"accessEntry": entry}) if entry else not_found()


def entry_delete(self):
    STORE["entries"].pop(entry_key(self), None)
    return ActionResult({})


def policy_add(self):
    key, given = entry_key(self), body(self)
    policy = {"policyArn": given["policyArn"], "accessScope": given["accessScope"], "associatedAt": 1, "modifiedAt": 1}
    STORE["policies"].setdefault(key, {})[given["policyArn"]] = policy
    return ActionResult({"clusterName": key[0], "principalArn": key[1], "associatedAccessPolicy": policy})


def policy_list(self):
    key = entry_key(self)
    return ActionResult({"clusterName": key[0], "principalArn": key[1], "associatedAccessPolicies": list(STORE["policies"].get(key, {}).values())})


def policy_remove(self):
    STORE["policies"].pop(entry_key(self), None)
    return ActionResult({})


EKSResponse.create_access_entry = entry_create
EKSResponse.describe_access_entry = entry_get
EKSResponse.delete_access_entry = entry_delete
EKSResponse.associate_access_policy = policy_add
EKSResponse.list_associated_access_policies = policy_list
EKSResponse.disassociate_access_policy = policy_remove
eks_urls.url_paths = {
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<arn>.+)/access-policies/(?P<policy>.+)$": eks_urls.response.dispatch,
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<arn>.+)/access-policies$": eks_urls.response.dispatch,
    "{0}/clusters/(?P<name>[^/]+)/access-entries/(?P<arn>.+)$": eks_urls.response.dispatch,
    "{0}/clusters/(?P<name>[^/]+)/access-entries$": eks_urls.response.dispatch,
    **eks_urls.url_paths,
}

# --- ElastiCache user groups
from moto.elasticache.responses import ElastiCacheResponse  # noqa: E402


def group_create(self):
    name = self._get_param("UserGroupId")
    group = {
        "UserGroupId": name, "Status": "active", "Engine": self._get_param("Engine"), "UserIds": self._get_param("UserIds", []),
        "ReplicationGroups": [], "ARN": f"arn:aws:elasticache:{self.region}:{self.current_account}:usergroup:{name}",
    }
    STORE["groups"][name] = group
    return ActionResult(group)


def group_list(self):
    name = self._get_param("UserGroupId")
    if name and name not in STORE["groups"]:
        from moto.elasticache.exceptions import ElastiCacheException

        raise ElastiCacheException("UserGroupNotFound", "not found")
    return ActionResult({"UserGroups": [STORE["groups"][name]] if name else list(STORE["groups"].values())})


def group_delete(self):
    group = STORE["groups"].pop(self._get_param("UserGroupId"))
    return ActionResult({**group, "Status": "deleting"})


from moto.elasticache.models import ElastiCacheBackend  # noqa: E402

plain_tags = ElastiCacheBackend.list_tags_for_resource


def tags_of_groups_too(self, arn):
    return {"Tags": []} if ":usergroup:" in arn else plain_tags(self, arn)


ElastiCacheBackend.list_tags_for_resource = tags_of_groups_too
def user_modify(self):
    given = self._get_params()
    user = self.elasticache_backend.users[given["UserId"]]
    mode = given["AuthenticationMode"]
    assert mode["Type"] == "password" and all(len(word) >= 16 for word in mode["Passwords"]), "a password for a user"
    user.access_string, user.passwords = given["AccessString"], mode["Passwords"]
    user.no_password_required, user.authentication_type = False, "password"
    return ActionResult(user)


ElastiCacheResponse.modify_user = user_modify
ElastiCacheResponse.create_user_group = group_create
ElastiCacheResponse.describe_user_groups = group_list
ElastiCacheResponse.delete_user_group = group_delete

# --- MSK users
import moto.kafka.urls as kafka_urls  # noqa: E402
from moto.kafka.responses import KafkaResponse  # noqa: E402
from moto.secretsmanager.models import secretsmanager_backends  # noqa: E402


def kafka_arn(self):
    return unquote(self.uri.split("?")[0].split("/clusters/")[1].split("/scram-secrets")[0])


def scram_user(backend, arn):
    """What MSK reads of a secret: a user and a password, and nothing else."""
    try:
        held = json.loads(backend.get_secret_value(arn, "", "AWSCURRENT")["SecretString"])
    except Exception:  # noqa: BLE001  # none, or none yet
        return False
    return set(held) == {"username", "password"}


def scram_add(self):
    held = STORE["scram"].setdefault(kafka_arn(self), [])
    backend = secretsmanager_backends[self.current_account][self.region]
    given = body(self)["secretArnList"]
    refused = [arn for arn in given if not scram_user(backend, arn)]
    held.extend(arn for arn in given if arn not in held + refused)
    unprocessed = [{"secretArn": arn, "errorCode": "InvalidSecretArn", "errorMessage": "no user and password in it"} for arn in refused]
    return json.dumps({"clusterArn": kafka_arn(self), "unprocessedScramSecrets": unprocessed})


def scram_list(self):
    return json.dumps({"secretArnList": STORE["scram"].get(kafka_arn(self), [])})


def scram_remove(self):
    gone = body(self)["secretArnList"]
    STORE["scram"][kafka_arn(self)] = [arn for arn in STORE["scram"].get(kafka_arn(self), []) if arn not in gone]
    return json.dumps({"clusterArn": kafka_arn(self), "unprocessedScramSecrets": []})


KafkaResponse.batch_associate_scram_secret = scram_add
KafkaResponse.list_scram_secrets = scram_list
KafkaResponse.batch_disassociate_scram_secret = scram_remove
kafka_urls.url_paths = {"{0}/v1/clusters/(?P<clusterArn>.+)/scram-secrets$": KafkaResponse.dispatch, **kafka_urls.url_paths}

# --- GuardDuty keeps features when a detector is updated
from moto.guardduty.models import Detector  # noqa: E402

plain_update = Detector.update


def update_with_features(self, enable, finding_publishing_frequency, data_sources, features):
    known = {feature["name"]: feature for feature in self.features}
    known.update({feature["name"]: feature for feature in features or []})
    plain_update(self, enable, finding_publishing_frequency, data_sources, list(known.values()))


Detector.update = update_with_features

# --- Backup vault notifications, recovery points
import moto.backup.urls as backup_urls  # noqa: E402
from moto.backup.responses import BackupResponse  # noqa: E402


def vault(self):
    return unquote(self.uri.split("?")[0].split("/backup-vaults/")[1].split("/")[0])


def notifications_put(self):
    STORE["notifications"][vault(self)] = body(self)
    return "{}"


def notifications_get(self):
    held = STORE["notifications"].get(vault(self))
    if not held:
        return 400, {"status": 400, "x-amzn-errortype": "ResourceNotFoundException"}, json.dumps({"message": "none"})
    return json.dumps({"BackupVaultName": vault(self), "BackupVaultArn": f"arn:aws:backup:{self.region}:{self.current_account}:backup-vault:{vault(self)}", **held})


def notifications_delete(self):
    STORE["notifications"].pop(vault(self), None)
    return "{}"


BackupResponse.put_backup_vault_notifications = notifications_put
BackupResponse.get_backup_vault_notifications = notifications_get
BackupResponse.delete_backup_vault_notifications = notifications_delete
BackupResponse.list_recovery_points_by_backup_vault = lambda self: json.dumps({"RecoveryPoints": []})
backup_urls.url_paths = {
    "{0}/backup-vaults/(?P<name>[^/]+)/notification-configuration$": BackupResponse.dispatch,
    "{0}/backup-vaults/(?P<name>[^/]+)/recovery-points$": BackupResponse.dispatch,
    "{0}/backup-vaults/(?P<name>[^/]+)/recovery-points/$": BackupResponse.dispatch,
    **backup_urls.url_paths,
}

# --- CodeDeploy deployment configurations
from moto.codedeploy.responses import CodeDeployResponse  # noqa: E402


def config_create(self):
    given = body(self)
    name = given["deploymentConfigName"]
    STORE["configs"][name] = {**given, "deploymentConfigId": name, "createTime": 1}
    return json.dumps({"deploymentConfigId": name})


def config_get(self):
    config = STORE["configs"].get(body(self)["deploymentConfigName"])
    if not config:
        return 400, {"status": 400, "x-amzn-errortype": "DeploymentConfigDoesNotExistException"}, json.dumps({"message": "no such configuration"})
    return json.dumps({"deploymentConfigInfo": config})


def config_delete(self):
    STORE["configs"].pop(body(self)["deploymentConfigName"], None)
    return "{}"


CodeDeployResponse.create_deployment_config = config_create
CodeDeployResponse.get_deployment_config = config_get
CodeDeployResponse.delete_deployment_config = config_delete

# --- KMS: a replica carries its own tags
from moto.kms.responses import KmsResponse  # noqa: E402

plain_replicate = KmsResponse.replicate_key


def replicate_with_tags(self):
    from copy import deepcopy

    from moto.kms.models import kms_backends

    answer = plain_replicate(self)
    name = json.loads(answer)["ReplicaKeyMetadata"]["KeyId"]
    here, there = (kms_backends[self.current_account][region] for region in (self.region, self._get_param("ReplicaRegion")))
    there.tag_resource(name, self._get_param("Tags") or [])
    # Both share one record of who is primary: the second gets its own.
    primary, replica = here.keys[name], there.keys[name]
    replica.multi_region_configuration = {**deepcopy(primary.multi_region_configuration), "MultiRegionKeyType": "REPLICA"}
    primary.multi_region_configuration = {**deepcopy(primary.multi_region_configuration), "MultiRegionKeyType": "PRIMARY"}
    return answer


KmsResponse.replicate_key = replicate_with_tags

# --- EFS: a policy can go again
from moto.efs.responses import EFSResponse  # noqa: E402


def file_policy_delete(self):
    system = self.uri.split("?")[0].split("/file-systems/")[1].split("/")[0]
    self.efs_backend.file_systems_by_id[system].file_system_policy = None
    return "{}", {"Content-Type": "application/json"}


EFSResponse.delete_file_system_policy = file_policy_delete

# --- S3: the mock speaks plain HTTP and reads no conditions, so it would take "refuse what is not
# TLS" as "refuse all". Statements that only do that are passed over.
from moto.iam.access_control import IAMPolicy, PermissionResult  # noqa: E402
from moto.s3.models import FakeBucket  # noqa: E402


def permission(self, action, resource):
    if self.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(self.policy.decode())
    policy["Statement"] = [s for s in policy["Statement"] if "aws:SecureTransport" not in json.dumps(s.get("Condition", {}))]
    if not policy["Statement"]:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


FakeBucket.get_permission = permission

if __name__ == "__main__":
    from moto.server import main

    main(sys.argv[1:])
