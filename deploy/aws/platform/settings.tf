# What each unit is told: settings and secret references, from ../../settings.json, which the
# manifests of Kubernetes are made from as well.

locals {
  table          = jsondecode(file("${path.module}/../../settings.json"))
  roles          = jsondecode(file("${path.module}/../../roles.json")).roles
  shared_secrets = distinct([for s in local.table.secrets : split("/", s.secret)[1] if startswith(s.secret, "shared/")])

  # Reasons for a row to apply to a unit.
  reasons = { for name, u in local.served : name => concat(
    ["always"], u.needs,
    var.collector_image != "" ? ["collector"] : [],
    name == "gateway" ? ["upstreams"] : [],
  ) }

  # The gateway forwards what units behind the internal entrance serve, as far as this image has it.
  upstreams = join(",", flatten([for name, u in local.served : [for role in u.roles : "${role}=https://${name}.${module.edge.internal_domain}" if contains(local.roles, role)] if u.entrance == "internal"]))

  words = {
    environment     = var.environment
    public_url      = module.edge.application_url
    trusted_proxies = join(",", concat(var.public_subnet_cidrs, var.private_subnet_cidrs))
    upstreams       = local.upstreams
    # DEP-081: TLS, and the unit's own user with SCRAM-SHA-512.
    kafka_url = "kafkas://${module.kafka.bootstrap_brokers}"
  }
  unit_words = { for name, u in local.served : name => merge(local.words, {
    # What the unit may have, less the five of the ledger.
    database_pool = tostring(max(2, u.connections - (contains(u.needs, "ledger") ? 5 : 0)))
    archive_url   = "s3://${module.storage.bucket_names["archive"]}/feed"
    blobs_url     = u.blobs == "" ? "" : "s3://${module.storage.bucket_names[split("/", u.blobs)[0]]}/${split("/", u.blobs)[1]}"
  }) }
  # A value is a word in braces, or stands for itself.
  unit_settings = { for name, u in local.served : name => {
    for s in local.table.settings : s.name => startswith(s.value, "{") ? local.unit_words[name][trim(s.value, "{}")] : s.value
    if contains(local.reasons[name], s.when)
  } }

  # Environment variable to secret; a member of a JSON secret is named behind the ARN.
  unit_secrets = { for name, u in local.served : name => merge(
    { for s in local.table.secrets : s.name => join("", [
      module.secrets.secret_arns[startswith(s.secret, "shared/") ? s.secret : "${name}/${s.secret}"],
      s.member == "" ? "" : ":${s.member}::",
    ]) if contains(local.reasons[name], s.when) },
    { for what in u.secrets : "FLORIN_SECRET_${upper(replace(what, "-", "_"))}" => module.secrets.secret_arns["${name}/${what}"] if contains(local.table.vendors, what) },
  ) }
}
