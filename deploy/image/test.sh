#!/bin/sh
# DEP-150. test.sh BINARY: the image's files against the golden list, the Containerfile's promises, the
# SBOM, and the binary started from the unpacked image as uid 65532 on a read-only root. With
# buildah also a build without a daemon into an OCI archive.
set -eu

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
BINARY=$1
WORK=$(mktemp -d)
server=''
clean() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    umount "$WORK/ro/tmp" 2>/dev/null || true
    umount "$WORK/ro" 2>/dev/null || true
    rm -rf "$WORK"
}
trap clean EXIT
fail() { echo "image: $*" >&2; exit 1; }

"$HERE/assemble.sh" "$BINARY" "$WORK/root"
(cd "$WORK/root" && find . -type f | sed 's,^\./,,' | sort) >"$WORK/files"
grep -vE '^(usr/)?lib(64)?/.*\.so' "$WORK/files" | diff "$HERE/files.golden" - || fail "the image holds other files than it should"
! grep -E '(^|/)(ba|da|z)?sh$' "$WORK/files" || fail "the image holds a shell"

# The Containerfile: a builder by digest, a numeric user, no latest, no ADD, no secret.
for forbidden in ':latest' '^ADD ' 'PASSWORD' 'SECRET' 'TOKEN'; do
    ! grep -nE "$forbidden" "$HERE/Containerfile" || fail "the Containerfile has $forbidden"
done
grep -q '^USER 65532:65532$' "$HERE/Containerfile" || fail "the user is not 65532"
grep -q '^FROM scratch$' "$HERE/Containerfile" || fail "the last stage is not scratch"

if command -v python3 >/dev/null; then
    python3 "$HERE/sbom.py" "$HERE/../../Cargo.lock" >"$WORK/sbom.json"
    python3 - "$WORK/sbom.json" <<'PY' || fail "the SBOM is incomplete"
import json, sys
bom = json.load(open(sys.argv[1]))
names = {c["name"] for c in bom["components"]}
assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == "florin"
assert {"ring", "rustls", "axum", "florin-ledger"} <= names, names
assert all("hashes" in c for c in bom["components"] if not c["name"].startswith("florin"))
refs = {c["bom-ref"] for c in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
assert all(d in refs for l in bom["dependencies"] for d in l["dependsOn"])
PY
    # What is really in the binary: places of panics name the sources of its parts, with versions.
    python3 - "$WORK/sbom.json" "$BINARY" <<'PY' || fail "the SBOM and the binary differ"
import json, re, sys
named = {f"{c['name']}-{c['version']}" for c in json.load(open(sys.argv[1]))["components"]}
raw = open(sys.argv[2], "rb").read()
inside = {m.decode() for m in re.findall(rb"/index\.crates\.io-[0-9a-f]+/([a-z0-9_.+-]+-[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.+-]*)/", raw, re.I)}
missing = sorted(inside - named)
assert len(inside) > 60, f"only {len(inside)} parts name themselves in the binary"
assert not missing, f"in the binary and not in the SBOM: {missing}"
print(f"  {len(inside)} parts that name themselves in the binary stand in the SBOM with their versions")
PY
fi

if command -v buildah >/dev/null; then
    export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
    box=$(buildah --root "$WORK/storage" --runroot "$WORK/run" from scratch)
    buildah --root "$WORK/storage" --runroot "$WORK/run" copy -q "$box" "$WORK/root" / >/dev/null
    buildah --root "$WORK/storage" --runroot "$WORK/run" config --user 65532:65532 --entrypoint '["/florin"]' --cmd serve --port 8443 "$box"
    buildah --root "$WORK/storage" --runroot "$WORK/run" commit -q "$box" "oci-archive:$WORK/florin.tar" >/dev/null
    # Unpacked as a runtime does it, it holds what was put together, and is what is started below.
    mkdir "$WORK/oci" "$WORK/image"
    tar -xf "$WORK/florin.tar" -C "$WORK/oci"
    python3 - "$WORK/oci" "$WORK/image" <<'PY' || fail "no OCI image came out"
import json, pathlib, subprocess, sys
oci, root = map(pathlib.Path, sys.argv[1:])
blob = lambda of: oci / "blobs" / of["digest"].replace(":", "/")
read = lambda path: json.loads(path.read_text())
manifest = read(blob(read(oci / "index.json")["manifests"][0]))
for layer in manifest["layers"]:
    subprocess.run(["tar", "-xpf", blob(layer), "-C", root], check=True)
run = read(blob(manifest["config"]))["config"]
wanted = {"User": "65532:65532", "Entrypoint": ["/florin"], "Cmd": ["serve"], "ExposedPorts": {"8443": {}}}
found = {key: run.get(key) for key in wanted}
assert found == wanted, found
PY
    diff -r "$WORK/root" "$WORK/image" || fail "the OCI image holds something else"
    rm -r "$WORK/root"
    mv "$WORK/image" "$WORK/root"
    echo "  built an OCI image without a daemon and unpacked it"
else
    echo "  SKIPPED OCI archive: no buildah"
fi

if [ "$(id -u)" != 0 ] || ! mount --bind "$WORK/root" "$WORK/root" 2>/dev/null; then
    echo "  SKIPPED start from the image: needs root and mounts"
    exit 0
fi
umount "$WORK/root"
mkdir "$WORK/ro"
mount --bind "$WORK/root" "$WORK/ro"
mount -o remount,bind,ro "$WORK/ro"
mount -t tmpfs -o size=256m,mode=1777 tmpfs "$WORK/ro/tmp"
inside() { chroot --userspec=65532:65532 "$WORK/ro" /florin "$@"; }
inside --version | grep -q '^florin ' || fail "the binary does not start"
if chroot --userspec=65532:65532 "$WORK/ro" /florin gen --dir /written >/dev/null 2>&1; then fail "the root can be written"; fi
FLORIN_DATA_DIR=/tmp/florin chroot --userspec=65532:65532 "$WORK/ro" /florin serve --port 0 >"$WORK/log" 2>&1 &
server=$!
port=''
for _ in $(seq 1 100); do
    port=$(sed -n 's/.*127\.0\.0\.1:\([0-9][0-9]*\).*/\1/p' "$WORK/log" | head -n 1)
    [ -z "$port" ] || break
    kill -0 "$server" 2>/dev/null || { cat "$WORK/log" >&2; fail "the server stopped"; }
    sleep 0.2
done
[ -n "$port" ] || { cat "$WORK/log" >&2; fail "the server does not say where it listens"; }
inside probe --url "http://127.0.0.1:$port/ready" || fail "not ready"
echo "  started from the image as uid 65532 on a read-only root, ready"
