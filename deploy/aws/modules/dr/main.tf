# What `florin dr` reads in the recovery region when the primary cannot be asked.

resource "aws_ssm_parameter" "primary" {
  name        = "/${replace(var.name, "-", "/")}/primary"
  description = "the primary region, as it was when this region was last applied"
  type        = "String"
  value       = jsonencode(var.primary)
  tags        = merge(var.tags, { Name = "${var.name}-primary", DEP = "140 142" })
}

resource "aws_ssm_parameter" "endpoints" {
  name        = "/${replace(var.name, "-", "/")}/dr-endpoints"
  description = "endpoints of the recovery region"
  type        = "String"
  value       = jsonencode(var.endpoints)
  tags        = merge(var.tags, { Name = "${var.name}-dr-endpoints", DEP = "098 140" })
}
