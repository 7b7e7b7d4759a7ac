"""Rules for the repository: folders explain themselves, nothing belongs to one machine, versions stay plain."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.structure.sources import PACKAGES, ROOT, committed_files, name, report

PLAIN_PIN = re.compile(r"^[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.+!]*$")
# Written so that this file does not match itself.
FORBIDDEN = {
    "an absolute path of somebody's machine": re.compile(r"(?<![\w.~}])/(work|root|Users|tmp/wt|tmp/v)(/|\b(?=[\"'`\s]))|/home/[a-z]\w*/"),
    "the address of a package index": re.compile(r"(extra-)?index" + r"-url|find" + r"-links|/simp" + r"le/?[\"'\s]|file" + r"://"),
}


def folders_with_code() -> list[str]:
    folders = {path.parent for path in committed_files() if path.suffix == ".py" and (path.name != "__init__.py" or path.stat().st_size > 0)}
    inside = {name(folder) for folder in folders if name(folder).split("/")[0] in PACKAGES}
    # Deeper test folders mirror the source tree, whose folders explain themselves.
    tests = {"/".join(name(folder).split("/")[:2]) for folder in folders if name(folder).startswith("tests")}
    return sorted(inside | tests | {folder for folder in ("notebooks", "data", "docs") if (ROOT / folder).is_dir()})


@pytest.mark.parametrize("folder", folders_with_code())
def test_every_folder_has_a_readme(folder: str) -> None:
    readme = ROOT / folder / "README.md"
    assert readme.is_file(), f"{folder}/README.md is missing. Cure: a few lines: what lives there, what it may import, how a newcomer adds to it."
    assert len(readme.read_text(encoding="utf-8").split()) >= 25, f"{folder}/README.md says too little"


def package_folders() -> list[str]:
    return [folder for folder in folders_with_code() if folder.split("/")[0] in PACKAGES]


@pytest.mark.parametrize("folder", package_folders())
def test_the_readme_lists_what_the_folder_holds(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| file \| subject \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None, f"{folder}/README.md has no table `| file | subject |`. Cure: one row a module."
    named = {found for row in table.group(1).splitlines() for found in re.findall(r"`([^`]+)`", row.split("|")[1])}
    modules = {path.name for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"}
    packages = {f"{path.name}/" for path in (ROOT / folder).iterdir() if path.name + "/" in subfolders(folder)}
    missing = sorted((modules | packages) - named)
    gone = sorted(one for one in named if not (ROOT / folder / one).exists())
    assert not missing + gone, report(
        [*(f"not listed: {one}" for one in missing), *(f"gone: {one}" for one in gone)], f"Cure: a row of the table in {folder}/README.md."
    )


def subfolders(folder: str) -> set[str]:
    """Folders directly below that hold committed files, as `name/`."""
    return {
        f"{inside.split('/')[0]}/" for path in committed_files() if "/" in (inside := name(path).removeprefix(folder + "/")) and inside != name(path)
    }


def test_no_link_is_committed() -> None:
    """Git puts a link in the place of what is ignored there: a link `.venv` that one clone commits removes the environment of every other."""
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=False)
    links = [line.split("\t", 1)[1] for line in listed.stdout.splitlines() if line.startswith("120000 ")]
    assert not links, report(links, "Cure: git rm --cached, and the name in .gitignore without a slash at its end (`name/` is a folder only).")


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_committed_file_holds(what: str) -> None:
    violations: list[str] = []
    for path in committed_files():
        raw = path.read_bytes()
        if b"\0" in raw[:4096] or path == ROOT / "tests/structure/test_repository.py":
            continue
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            if FORBIDDEN[what].search(line):
                violations.append(f"{name(path)}:{number}: {line.strip()[:100]}")
    assert not violations, report(
        violations, "Cure: use a path relative to the project, $HOME or a temporary folder; leave the index to the user's own settings."
    )


# The tools of the documentation have an environment of their own (`make docs`); everything else is in constraints.txt.
PINS = ("constraints.txt", "docs/site/requirements.txt")


def versions_tested() -> dict[str, str]:
    """The tested version of each package that the project may install."""
    lines = [line for file in reversed(PINS) for line in (ROOT / file).read_text().splitlines()]
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


@pytest.mark.parametrize("file", PINS)
def test_constraints_are_plain_pins(file: str) -> None:
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    violations = [line for line in lines if not PLAIN_PIN.match(line)]
    assert not violations, report(violations, f"Cure: {file} holds `name==version` lines only.")
    assert lines == sorted(lines), f"{file} is not sorted"


def test_every_requirement_is_a_range_and_has_a_tested_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    pinned = [requirement for requirement in required if "==" in requirement]
    assert not pinned, f"{pinned} in pyproject.toml. Cure: ranges there, the tested version in constraints.txt."
    tested = set(versions_tested())
    named = {
        re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-") for requirement in required if not requirement.startswith("hftkit")
    }
    assert named <= tested, f"no tested version of {sorted(named - tested)}. Cure: add a `name==version` line to constraints.txt."


HASHED = re.compile(r"^[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.+!]*( --hash=sha256:[0-9a-f]{64})+$")


def test_every_tested_version_has_its_hashes() -> None:
    lines = [line for line in (ROOT / "hashes.txt").read_text().splitlines() if not line.startswith("#")]
    assert not [line for line in lines if not HASHED.match(line)], "hashes.txt holds `name==version --hash=sha256:...` lines only. Cure: make hashes"
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line.split(" ")[0] for line in lines] == pins, "hashes.txt and constraints.txt name other versions. Cure: make hashes"


def test_the_demo_installs_all_that_it_needs() -> None:
    """Held against what the installed packages themselves say that they need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed: set[str] = set()
    pending = [Requirement(one) for one in (*project["dependencies"], *project["optional-dependencies"]["demo"])]
    while pending:
        one = pending.pop()
        key = canonicalize_name(one.name)
        if key not in needed and (one.marker is None or one.marker.evaluate({"extra": ""})):
            needed.add(key)
            pending += [Requirement(text) for text in distribution(key).requires or ()]
    listed = {line for line in (ROOT / ".ci/demo.txt").read_text().splitlines() if not line.startswith("#")}
    assert needed <= listed, f"{sorted(needed - listed)} are missing in .ci/demo.txt"
    assert listed <= {line.split("==")[0] for line in (ROOT / "hashes.txt").read_text().splitlines()}


def test_no_floor_is_above_the_tested_version_and_the_backend_is_among_them() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = [*whole["build-system"]["requires"], *whole["project"]["dependencies"]]
    required += [requirement for extra in whole["project"]["optional-dependencies"].values() for requirement in extra]
    tested = versions_tested()
    for requirement in (one for one in required if not one.startswith("hftkit[")):
        package, _, floor = requirement.partition(">=")
        assert floor, f"{requirement} has no floor"
        version = tested[package.lower().replace("_", "-")]
        parts = [tuple(int(part) for part in re.findall(r"[0-9]+", text)) for text in (floor, version)]
        assert parts[0] <= parts[1], f"{requirement}: the tested version is {version}"


def test_every_lint_exception_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^ignore = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    violations = [line.strip() for line in block.group(1).splitlines() if line.strip() and "#" not in line]
    exceptions = text.split("[tool.ruff.lint.per-file-ignores]")[1].split("\n[")[0].strip().splitlines()
    violations += [line for line in exceptions if "#" not in line]
    assert not violations, report(violations, "Cure: say behind the exception why it is one.")
