#!/bin/sh
# sign.sh DIGEST SBOM BUCKET [KEY]: signs that an image and its SBOM belong together (DEP-115), and
# lays statement, signature and SBOM under images/ of the bucket of the state. The key never leaves KMS.
# verify.sh is the other half.
set -eu

digest=$1 sbom=$2 bucket=$3 key=${4:-alias/florin-image}
case $digest in sha256:*) ;; *) echo "sign.sh: $digest is not a digest" >&2; exit 1 ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf 'image %s\nsbom sha256:%s\n' "$digest" "$(sha256sum "$sbom" | cut -d ' ' -f 1)" >"$work/statement"
aws kms sign --key-id "$key" --message "fileb://$work/statement" --message-type RAW \
    --signing-algorithm ECDSA_SHA_256 --query Signature --output text | base64 -d >"$work/signature"
place=images/${digest#sha256:}
for part in statement signature; do
    aws s3api put-object --bucket "$bucket" --key "$place/$part" --body "$work/$part" >/dev/null
done
aws s3api put-object --bucket "$bucket" --key "$place/sbom.json" --body "$sbom" >/dev/null
echo "signed: $digest"
