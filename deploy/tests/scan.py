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

# Which checks show a requirement: each must have passed somewhere. Without that, a requirement whose
# resources merely were in the folder would count as scanned.
PROVES = {
    "DEP-029": ["CKV_AWS_24"],
    "DEP-030": ["CKV_AWS_88", "CKV_AWS_333"],
    "DEP-031": ["CKV_AWS_277"],
    "DEP-034": ["CKV_AWS_382"],
    "DEP-036": ["CKV_AWS_23"],
    "DEP-038": ["CKV_AWS_37", "CKV_AWS_58"],
    "DEP-044": ["CKV_AWS_79", "CKV_AWS_341"],
    "DEP-054": ["CKV_AWS_336"],
    "DEP-055": ["CKV_AWS_249"],
    "DEP-066": ["CKV_AWS_16", "CKV_AWS_17", "CKV_AWS_96"],
    "DEP-069": ["CKV_AWS_139", "CKV_AWS_313"],
    "DEP-086": ["CKV_AWS_21", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "CKV_AWS_145"],
    "DEP-092": ["CKV_AWS_7"],
    "DEP-101": ["CKV_AWS_91", "CKV_AWS_131", "CKV_AWS_150"],
    "DEP-102": ["CKV_AWS_2", "CKV_AWS_103"],
    "DEP-117": ["CKV_AWS_147", "CKV_AWS_314"],
    "DEP-118": ["CKV2_GHA_1", "CKV_GHA_2"],
    "DEP-135": ["CKV_AWS_35", "CKV_AWS_36", "CKV_AWS_67"],
    "DEP-149": ["CKV_K8S_20", "CKV_K8S_22", "CKV_K8S_43"],
    "DEP-150": ["CKV_DOCKER_3"],
}


def skips():
    text = (DEPLOY / "aws" / "policies" / "checkov-skips.yaml").read_text()
    found = []
    for block in re.split(r"^- ", text, flags=re.M)[1:]:
        row = dict(re.findall(r"^\s*(\w+): (.+)$", block, re.M))
        assert {"id", "resource", "reason", "review"} <= row.keys(), f"incomplete: {block}"
        found.append(row)
    return found


def scan(checkov, folder, framework):
    done = subprocess.run([checkov, "-d", str(folder), "--framework", framework, "--skip-download", "--compact", "-o", "json"], capture_output=True, text=True)
    if not done.stdout.strip():
        sys.exit(f"checkov failed: {done.stderr[-2000:]}")
    results = json.loads(done.stdout)
    for result in results if isinstance(results, list) else [results]:
        if "results" not in result:
            continue
        for check in result["results"]["failed_checks"]:
            yield check["check_id"], check["resource"], check["check_name"], check["file_path"]
        for check in result["results"]["passed_checks"]:
            yield None, check["check_id"], None, None


def main():
    checkov = sys.argv[1]
    rows, used, wrong, passed, good = skips(), set(), {}, 0, set()
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
        manifests = shutil.which("kubectl") is not None
        if not manifests:
            print("  SKIPPED scan of the manifests: no kubectl")
        if manifests:
            built = subprocess.run(["kubectl", "kustomize", f"{work}/k/overlays/production"], capture_output=True, text=True, check=True)
            Path(f"{work}/rendered/production.yaml").write_text(built.stdout)
        flow = Path(work) / "flow" / ".github" / "workflows"
        flow.mkdir(parents=True)
        shutil.copy(DEPLOY / "aws" / "github" / "deploy.yml", flow)
        for folder, framework in ((f"{work}/tf", "terraform"), (f"{work}/rendered", "kubernetes"), (f"{work}/image", "dockerfile"), (f"{work}/flow", "github_actions")):
            for identifier, resource, name, file in scan(checkov, folder, framework):
                if identifier is None:
                    passed += 1
                    good.add(resource)
                    continue
                match = next((at for at, row in enumerate(rows) if row["id"] == identifier and re.fullmatch(row["resource"], resource)), None)
                if match is None:
                    wrong.setdefault((identifier, name), []).append(f"{resource} ({file})")
                else:
                    used.add(match)
    for (identifier, name), resources in sorted(wrong.items()):
        print(f"  {identifier} {name}: {'; '.join(sorted(set(resources))[:6])}", file=sys.stderr)
    # What was not looked at neither failed nor passed.
    if not manifests:
        used |= {at for at, row in enumerate(rows) if "K8S" in row["id"]}
    for at, row in enumerate(rows):
        if at not in used:
            print(f"  the skip {row['id']} {row['resource']} matches nothing", file=sys.stderr)
    unshown = {dep: missing for dep, checks in PROVES.items() if (missing := [check for check in checks if check not in good and (manifests or "K8S" not in check)])}
    for dep, missing in unshown.items():
        print(f"  {dep} is said to be shown by {missing}, which passed nowhere", file=sys.stderr)
    print(f"  {passed} checks passed, {len(used)} skips with a reason, {len(PROVES)} requirements shown")
    sys.exit(1 if wrong or unshown or len(used) != len(rows) else 0)


main()
