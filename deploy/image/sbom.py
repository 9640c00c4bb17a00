#!/usr/bin/env python3
"""sbom.py Cargo.lock > sbom.json: the parts of the binary as CycloneDX 1.5, from the lock file.

Without a clock and without chance: the same lock file gives the same bytes.
"""
import hashlib
import json
import sys
import tomllib
import uuid


def main():
    raw = open(sys.argv[1], "rb").read()
    packages = tomllib.loads(raw.decode())["package"]
    parts, root = [], None
    for package in sorted(packages, key=lambda p: (p["name"], p["version"])):
        reference = f"pkg:cargo/{package['name']}@{package['version']}"
        part = {"type": "library", "bom-ref": reference, "name": package["name"], "version": package["version"], "purl": reference}
        if "checksum" in package:
            part["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
        if package["name"] == "florin":
            root = {**part, "type": "application"}
        else:
            parts.append(part)
    named = {}
    for package in packages:
        named.setdefault(package["name"], []).append(package["version"])

    def reference(text):
        words = text.split(" ")
        return f"pkg:cargo/{words[0]}@{words[1] if len(words) > 1 else named[words[0]][0]}"

    links = [{"ref": f"pkg:cargo/{p['name']}@{p['version']}", "dependsOn": sorted(reference(d) for d in p.get("dependencies", []))} for p in packages]
    print(json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.UUID(hashlib.sha256(raw).hexdigest()[:32], version=5)}",
        "metadata": {"component": root},
        "components": parts,
        "dependencies": sorted(links, key=lambda link: link["ref"]),
    }, indent=1, sort_keys=True))


main()
