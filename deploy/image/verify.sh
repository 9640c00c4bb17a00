#!/bin/sh
# verify.sh DIGEST BUCKET [KEY]: whether the image was signed by the pipeline, and whether its SBOM
# is the one that was signed with it (DEP-115). Says why not, and exits 1.
set -eu

digest=$1 bucket=$2 key=${3:-alias/florin-image}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
no() { echo "$1"; exit 1; }

for part in statement signature sbom.json; do
    aws s3api get-object --bucket "$bucket" --key "images/${digest#sha256:}/$part" "$work/$part" >/dev/null 2>&1 ||
        no "the image has no $part"
done
{
    echo "image $digest"
    echo "sbom sha256:$(sha256sum "$work/sbom.json" | cut -d ' ' -f 1)"
} >"$work/wanted"
cmp -s "$work/wanted" "$work/statement" || no 'what was signed is another image or another SBOM'
valid=$(aws kms verify --key-id "$key" --message "fileb://$work/statement" --message-type RAW \
    --signature "fileb://$work/signature" --signing-algorithm ECDSA_SHA_256 --query SignatureValid --output text 2>/dev/null) || valid=False
[ "$valid" = True ] || no 'the signature is not that of the pipeline'
