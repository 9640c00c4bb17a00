#!/usr/bin/env python3
"""Policy scan by checkov (DEP-149 for the manifests): every failed check is repaired, or named with a reason in
aws/policies/checkov-skips.yaml. A name that no longer matches anything fails as well.

Usage: scan.py CHECKOV. Offline, so there are no severities: each failure counts.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent


def skips():
    text = (DEPLOY / "aws" / "policies" / "checkov-skips.yaml").read_text()
    found = []
    for block in re.split(r"^- ", text, flags=re.M)[1:]:
        row = dict(re.findall(r"^\s*(\w+): (.+)$", block, re.M))
        assert {"id", "resource", "reason", "review"} <= row.keys(), f"incomplete: {block}"
        found.append(row)
    return found


def scan(checkov, folder, framework):
    done = subprocess.run([checkov, "-d", str(folder), "--framework", framework, "--skip-download", "--compact", "--quiet", "-o", "json"], capture_output=True, text=True)
    if not done.stdout.strip():
        sys.exit(f"checkov failed: {done.stderr[-2000:]}")
    results = json.loads(done.stdout)
    for result in results if isinstance(results, list) else [results]:
        if "results" not in result:
            continue
        for check in result["results"]["failed_checks"]:
            yield check["check_id"], check["resource"], check["check_name"], check["file_path"]
        yield None, result["summary"]["passed"], None, None


def main():
    checkov = sys.argv[1]
    rows, used, wrong, passed = skips(), set(), {}, 0
    with tempfile.TemporaryDirectory() as work:
        import shutil

        shutil.copytree(DEPLOY / "aws" / "modules", f"{work}/tf/modules", ignore=shutil.ignore_patterns("tests"))
        shutil.copytree(DEPLOY / "aws" / "bootstrap", f"{work}/tf/bootstrap")
        Path(f"{work}/image").mkdir()
        shutil.copy(DEPLOY / "image" / "Containerfile", f"{work}/image/Dockerfile")
        for overlay in (DEPLOY / "kubernetes" / "overlays").iterdir():
            copy = Path(work) / "k" / "overlays" / overlay.name
            shutil.copytree(DEPLOY / "kubernetes" / "base", Path(work) / "k" / "base", dirs_exist_ok=True)
            shutil.copytree(overlay, copy)
            for name in ("outputs.env", "settings.env"):
                shutil.copy(copy / f"{name}.example", copy / name)
        Path(f"{work}/rendered").mkdir()
        built = subprocess.run(["kubectl", "kustomize", f"{work}/k/overlays/production"], capture_output=True, text=True, check=True)
        Path(f"{work}/rendered/production.yaml").write_text(built.stdout)
        for folder, framework in ((f"{work}/tf", "terraform"), (f"{work}/rendered", "kubernetes"), (f"{work}/image", "dockerfile")):
            for identifier, resource, name, file in scan(checkov, folder, framework):
                if identifier is None:
                    passed += resource
                    continue
                match = next((at for at, row in enumerate(rows) if row["id"] == identifier and re.fullmatch(row["resource"], resource)), None)
                if match is None:
                    wrong.setdefault((identifier, name), []).append(f"{resource} ({file})")
                else:
                    used.add(match)
    for (identifier, name), resources in sorted(wrong.items()):
        print(f"  {identifier} {name}: {'; '.join(sorted(set(resources))[:6])}", file=sys.stderr)
    for at, row in enumerate(rows):
        if at not in used:
            print(f"  the skip {row['id']} {row['resource']} matches nothing", file=sys.stderr)
    print(f"  {passed} checks passed, {len(used)} skips with a reason")
    sys.exit(1 if wrong or len(used) != len(rows) else 0)


main()
