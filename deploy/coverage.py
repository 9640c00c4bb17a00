#!/usr/bin/env python3
"""Makes docs/deployment/coverage.md, or compares it (--check): every requirement of
requirements.toml, where it is built, and what verifies it.

Evidence is found by the number: resources carry it as a tag, files name it as DEP-000, tests as
dep_000 or DEP-000. What a letter of `by` needs is said in LAYERS. A row that lacks a letter says so
and stands first. Needs Python alone.

`--ran DIR [--junit FILE]` joins the table with what really ran green: deploy/test writes to DIR which
suites passed and which resources stood in the mock, FILE is the report of the tests of the program.
A row whose evidence ran and was not green, or is named but not there, fails; suites that did not run
are named.
"""
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

DEPLOY = Path(__file__).resolve().parent
REPO = DEPLOY.parent
PAGE = REPO / "docs" / "deployment" / "coverage.md"
ORDER = ["not built", "partly built", "built, unverified", "partly verified", "verified"]
WORDS = {"T": "test", "V": "plan", "A": "mock", "K": "manifests", "C": "scan", "S": "script", "R": "real component", "D": "document", "M": "AWS"}
# Checks of deploy/tests/checks.py, and the part of deploy/test that runs them.
CHECKS = {"roots": "form", "addons": "form", "pipelines": "form", "kubernetes": "kubernetes", "options": "kubernetes", "metrics": "monitoring", "grafana": "monitoring", "iam": "mock", "sizes": "mock", "budget": "mock"}
PARTS = {"deploy/tests/script.sh": "script", "deploy/tests/alert.py": "alert", "deploy/tests/scan.py": "scan", "deploy/tests/mock.sh": "mock", "deploy/image/test.sh": "image", "deploy/prometheus/rules_test.yml": "monitoring", "deploy/test render": "render"}
# Behind switches that are off in staging: planned, never applied on the mock.
NOT_APPLIED = {"071", "112"}


def requirements():
    text = (DEPLOY / "requirements.toml").read_text()
    return re.findall(r'number = "(\d{3})"\ntitle = "(.*)"\nby = "(.*?)"(?:\nlacks = "(.*)")?', text)


def numbers(text):
    """DEP-123, dep_123, and ranges such as dep_101_to_dep_111 or DEP-041 to DEP-043."""
    found = set(re.findall(r"(?:DEP-|dep_)(\d{3})", text))
    for first, last in re.findall(r"(?:DEP-|dep_)(\d{3})(?: to |_to_)(?:DEP-|dep_)(\d{3})", text):
        found |= {f"{n:03}" for n in range(int(first), int(last) + 1)}
    return found


def tags(text):
    """Numbers of resources' tags: DEP = "101 104", dep = "041"."""
    return {n for value in re.findall(r'\b(?:DEP|dep)"?\s*[=:]\s*([^\n]*)', text) for n in re.findall(r"\b(\d{3})\b", value)}


def files(*patterns):
    for pattern in patterns:
        for path in sorted(REPO.glob(pattern)):
            if path.is_file() and ".terraform" not in path.parts and not path.name.startswith("zz_"):
                yield path, path.read_text(errors="replace")


def short(path):
    return str(path.relative_to(REPO))


def built():
    """Number -> files that build it."""
    found = {}
    for path, text in files("deploy/units.json", "deploy/settings.json", "deploy/render.py", "deploy/aws/*.sh", "deploy/aws/*.toml",
                            "deploy/aws/**/*.tf", "deploy/aws/**/*.yml", "deploy/aws/**/*.yaml", "deploy/aws/**/*.example", "deploy/aws/policies/*", "deploy/kubernetes/**/*.yaml", "deploy/kubernetes/addons/*",
                            "deploy/kubernetes/**/*.json", "deploy/prometheus/*.yml", "deploy/alertmanager/*", "deploy/test", "deploy/image/*", "crates/*/src/**/*.rs"):
        if "tests" in path.parts or path.name == "tests.rs":
            continue
        text = text.split("#[cfg(test)]")[0] if path.suffix == ".rs" else text
        for number in numbers(text) | (tags(text) if path.suffix in (".tf", ".json") else set()):
            found.setdefault(number, set()).add(short(path))
    return found


def verified():
    """Number -> letter -> what shows it."""
    found = {}

    def add(letter, where, wanted):
        for number in wanted:
            found.setdefault(number, {}).setdefault(letter, set()).add(where)

    for path, text in files("deploy/aws/**/*.tftest.hcl"):
        add("V", short(path).removeprefix("deploy/aws/"), numbers(text))
    for path, text in files("deploy/aws/modules/**/*.tf", "deploy/aws/bootstrap/*.tf", "deploy/aws/platform/*.tf"):
        about = numbers(text) | tags(text)
        if path.parent.name != "dr":
            add("A", "deploy/tests/mock.sh", about - NOT_APPLIED)
    # The checks that show a requirement are listed there.
    add("C", "deploy/tests/scan.py", numbers((DEPLOY / "tests" / "scan.py").read_text()))
    add("T", "deploy/test render", numbers((DEPLOY / "test").read_text()))
    checks = (DEPLOY / "tests" / "checks.py").read_text()
    for name, body in re.findall(r"^def (\w+)\(.*?\n(.*?)(?=^def |^# ---|\Z)", checks, re.S | re.M):
        if name not in CHECKS:
            continue
        letter = {"kubernetes": "K", "options": "K", "addons": "K"}.get(name)
        for one in ([letter] if letter else []) + ["T"]:
            add(one, f"deploy/tests/checks.py {name}", numbers(body))
        if name in ("roots", "iam", "sizes", "budget"):
            add("V", f"deploy/tests/checks.py {name}", numbers(body))
        if name == "iam":
            add("C", "deploy/tests/checks.py iam", numbers(body))
    units = re.findall(r'"dep": "(\d{3})"', (DEPLOY / "units.json").read_text())
    add("K", "deploy/tests/checks.py kubernetes", set(units))
    grants = (DEPLOY / "tests" / "grants.py").read_text()
    add("V", "deploy/tests/grants.py", numbers(grants))
    add("T", "deploy/tests/grants.py", numbers(grants))
    for name, letters in (("mock.sh", "A"), ("script.sh", "S"), ("alert.py", "TR")):
        text = (DEPLOY / "tests" / name).read_text()
        for letter in letters:
            add(letter, f"deploy/tests/{name}", numbers(text))
        # Lines that say that the other side is the program itself.
        add("R", f"deploy/tests/{name}", {n for line in text.splitlines() if "real server" in line for n in numbers(line)})
    add("TRC", "deploy/image/test.sh", set())
    for letter in "TRC":
        add(letter, "deploy/image/test.sh", numbers((DEPLOY / "image" / "test.sh").read_text()))
    rules = (DEPLOY / "prometheus" / "rules_test.yml").read_text()
    add("T", "deploy/prometheus/rules_test.yml", numbers(rules))
    for path, text in files("crates/**/*.rs"):
        if "tests" not in path.parts and path.name != "tests.rs":
            parts = text.split("#[cfg(test)]")
            text = parts[1] if len(parts) > 1 else ""
        about = numbers(text)
        add("T", short(path), about)
        if re.search(r"TestPostgres|TestRedis|KafkaMock|MockCluster|postgres|Site::start", text):
            add("R", short(path), about)
    for path, text in files("docs/**/*.md", "deploy/README.md"):
        if path != PAGE:
            add("D", short(path), numbers(text))
    return found


def state(by, is_built, shown):
    wanted = [letter for letter in by.split() if letter != "M"]
    missing = [letter for letter in wanted if letter not in shown]
    if not is_built and not shown:
        return "not built", missing
    if not is_built and "D" not in by.split():
        return "not built", missing
    if missing:
        return ("built, unverified" if len(missing) == len(wanted) else "partly verified"), missing
    return "verified", missing


def cell(places, most=3):
    listed = sorted(places, key=lambda place: (len(place), place))
    more = f", {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(f"`{place}`" for place in listed[:most]) + more


def page():
    code, evidence = built(), EVIDENCE
    rows, counts = [], {}
    for number, title, by, lacks in requirements():
        shown = evidence.get(number, {})
        word, missing = state(by, number in code, shown)
        if lacks and word != "not built":
            word = "partly built"
        counts[word] = counts.get(word, 0) + 1
        order = ORDER.index(word)
        lack = "; not by " + ", ".join(WORDS[letter] for letter in missing) if missing and order else ""
        lack += f": {lacks}" if lacks else ""
        how = "; ".join(f"{WORDS[letter]}: {cell(shown[letter], 2)}" for letter in by.split() if letter in shown)
        rows.append((order, number, f"| {number} | {title.replace('|', '/')} | {word}{lack} | {cell(code.get(number, set()))} | {how} |"))
    rows.sort()
    summary = ", ".join(f"{counts[word]} {word}" for word in reversed(ORDER) if word in counts)
    head = f"""# Requirements of the deployment, and their evidence

Made by `deploy/coverage.py` from tags, file contents and names of tests; `deploy/test render` compares it. {len(rows)} requirements: {summary}.

**No row was ever exercised on AWS.** Nothing was created there: what a row says was shown on this machine, by these means:

| word | means |
|---|---|
| test | a test of the program, or of the files by `deploy/tests/checks.py` |
| plan | an assertion of `terraform test` on the plan, with a mocked provider |
| mock | created, read and destroyed on a local mock of AWS, which enforces nothing |
| manifests | rendered, compared with the schemas of Kubernetes and own assertions; no API server |
| scan | the policy scan, with every exception named |
| script | `deploy.sh` against stub programs |
| real component | PostgreSQL 15, Redis 7, Prometheus or Alertmanager on this machine |
| document | words that must exist |
| AWS | can only be seen there, and has not been |

Rows that lack something come first.

| DEP | what | state | built in | verified by |
|---|---|---|---|---|
"""
    return head + "\n".join(row for _, _, row in rows) + "\n"


# --- joined with what ran

def applied(state):
    """Numbers of the resources that stood in the mock: by tag, and by what the files say of them."""
    def walk(module):
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from walk(child)

    found, kinds = set(), set()
    for resource in walk(json.loads(Path(state).read_text())["values"]["root_module"]):
        tag = (resource["values"].get("tags_all") or {}).get("DEP") or ""
        found |= set(re.findall(r"\b\d{3}\b", tag))
        modules = re.findall(r"module\.(\w+)", resource["address"])
        kinds.add((modules[-1] if modules else "", resource["type"], resource["name"]))
    for path, text in files("deploy/aws/modules/**/*.tf", "deploy/aws/platform/*.tf", "deploy/aws/bootstrap/*.tf"):
        module = {"platform": "platform", "bootstrap": ""}.get(path.parent.name) if "modules" not in path.parts else path.relative_to(DEPLOY / "aws").parts[1]
        for comment, kind, name, body in re.findall(r'((?:^#[^\n]*\n)*)^resource "(\w+)" "(\w+)" \{(.*?)^\}', text, re.S | re.M):
            if any(kind == k and name == n and m in (module, "acl") for m, k, n in kinds):
                found |= numbers(comment + body) | tags(body)
        # What a file says of itself stands for all of it.
        if any(m == module for m, _, _ in kinds):
            found |= numbers(text.split("\nresource ")[0])
    return found


def tests_of(report):
    """Name of a test -> passed, skipped or failed."""
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        text = " ".join(t.text or "" for t in case.iter())
        bad = case.find("failure") is not None or case.find("error") is not None
        found[case.get("name").split("::")[-1]] = "failed" if bad else "skipped" if "SKIPPED " in text else "passed"
    return found


def own_tests(path):
    """Number -> tests of a Rust file that name it, in their name or above them."""
    text, found = (REPO / path).read_text(), {}
    for above, name in re.findall(r"((?:^[ \t]*///[^\n]*\n)*)^[ \t]*#\[(?:tokio::)?test[^\n]*\n(?:[ \t]*#\[[^\n]*\n)*[ \t]*(?:async )?fn (\w+)", text, re.M):
        for number in numbers(above + name):
            found.setdefault(number, set()).add(name)
    return found


def ran(folder, report):
    """What the table claims and no run bears out; and what could not be judged."""
    read = lambda name: set((folder / name).read_text().split("\n")) if (folder / name).exists() else set()
    parts, suites, stood = read("parts"), read("suites"), read("applied")
    results = tests_of(report) if report else None
    wrong, open_ = [], set()
    for number, _, by, _ in requirements():
        for letter, places in EVIDENCE.get(number, {}).items():
            if letter == "D" or letter not in by.split():
                continue
            for place in places:
                said = judge(number, letter, place, parts, suites, stood, results)
                if said is None:
                    continue
                if said.startswith("?"):
                    open_.add(said[1:])
                else:
                    wrong.append(f"DEP-{number}: {WORDS[letter]}: {place}: {said}")
    return wrong, open_


def judge(number, letter, place, parts, suites, stood, results):
    """None: it ran and was green. `?…`: it did not run. Else what is wrong."""
    if place.startswith("crates/"):
        if results is None:
            return "?tests of the program (no report)"
        names = own_tests(place).get(number)
        if not names:
            return "no test of this file names it"
        states = {results.get(name) for name in names}
        if "failed" in states:
            return "a test failed"
        if states == {None}:
            return "?tests that this run left out"
        return None if "passed" in states else "?tests whose component is missing"
    if place.endswith(".tftest.hcl"):
        if "modules" not in parts:
            return "?modules"
        return None if place in suites else "did not pass"
    name = place.split(" ")[-1] if "checks.py" in place else place
    part = CHECKS.get(name) or PARTS.get(name) or ("mock" if "grants.py" in place else None)
    if part is None:
        return "nobody runs it"
    if part not in parts:
        return f"?{part}"
    if part == "mock" and letter == "A" and number not in stood and number not in numbers((DEPLOY / "tests" / "mock.sh").read_text()):
        return "no resource of it stood in the mock"
    return None


EVIDENCE = verified()


def option(name):
    return Path(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else None


def main():
    if "--applied" in sys.argv:
        print("\n".join(sorted(applied(option("--applied")))))
        return
    if "--ran" in sys.argv:
        report = option("--junit")
        wrong, open_ = ran(option("--ran"), report if report and report.exists() else None)
        for line in wrong:
            print(f"  {line}", file=sys.stderr)
        for name in sorted(open_):
            print(f"  SKIPPED evidence by {name}")
        print(f"  {len(EVIDENCE)} requirements joined with what ran")
        sys.exit(1 if wrong else 0)
    text = page()
    if "--list" in sys.argv:
        print("\n".join(line for line in text.splitlines() if re.search(r"\| (not built|partly|built, unverified)", line)))
        return
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit("docs/deployment/coverage.md is not what deploy/coverage.py makes")
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text)


main()
