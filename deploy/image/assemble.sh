#!/bin/sh
# assemble.sh BINARY ROOT [RDS_BUNDLE]: collects in ROOT what the image holds: the binary, the
# shared libraries that it names, certificates of authorities, and the user 65532.
set -eu

binary=$1 root=$2 bundle=${3:-}
mkdir -p "$root/etc/ssl/certs" "$root/tmp"
cp "$binary" "$root/florin"
chmod 0755 "$root/florin"

# "libx.so => /path (0x...)" and the loader itself, "/lib64/ld-linux... (0x...)".
ldd "$binary" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
if [ -n "$bundle" ]; then
    # The authorities of RDS, against which connections to the database are verified.
    cp "$bundle" "$root/etc/ssl/certs/rds.pem"
fi
printf 'florin:x:65532:65532:florin:/tmp:/florin\n' >"$root/etc/passwd"
printf 'florin:x:65532:\n' >"$root/etc/group"
chmod 1777 "$root/tmp"
