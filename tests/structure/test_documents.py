"""Documents: the changelog's form, links that lead somewhere, forms that parse, and what `make check` runs."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.structure import quick
from tests.structure.sources import ROOT, committed_files, name, report

WIDEST = 100
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def documents() -> list[str]:
    return [name(path) for path in committed_files() if path.suffix == ".md"]


def test_an_entry_of_the_changelog_is_one_line() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    violations = [f"line {n}: {len(line)} columns: {line[:60]}" for n, line in enumerate(lines, 1) if len(line) > WIDEST]
    violations += [f"line {n}: a second line of an entry: {line[:60]}" for n, line in enumerate(lines, 1) if line.startswith("  ")]
    assert not violations, report(violations, f"Cure: one line of at most {WIDEST} columns an entry, for users; the rest belongs in docs/.")


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    heads = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert heads[1:] == sorted(heads[1:], key=lambda version: [int(part) for part in version.split(".")], reverse=True)


@pytest.mark.parametrize("document", documents())
def test_links_lead_somewhere(document: str) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    missing = [target for target in targets if not (ROOT / document).parent.joinpath(target).exists()]
    assert not missing, report(missing, f"Cure: {document} links to what is not there.")


@pytest.mark.parametrize("path", [".pre-commit-config.yaml", *(f".github/ISSUE_TEMPLATE/{one}.yml" for one in ("bug", "feature", "config"))])
def test_the_forms_can_be_read(path: str) -> None:
    found = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    if path.startswith(".pre-commit"):
        hooks = [hook for repository in found["repos"] for hook in repository["hooks"]]
        assert {repository["repo"] for repository in found["repos"]} == {"local"}, "hooks run the project's own tools: nothing is fetched"
        assert all(hook["language"] == "system" for hook in hooks)


def test_what_make_check_runs_is_quick() -> None:
    chosen = quick.quick_tests()
    assert "tests/unit/test_units.py" in chosen
    assert "tests/unit/exchange/test_binary_server.py" not in chosen, "it starts an exchange"
    gone = [one for one in quick.SLOW if not (ROOT / one).is_file()]
    needless = sorted(quick.SLOW - {name(path) for path in quick.candidates()} - set(gone))
    assert not gone + needless, report(gone + needless, "Cure: take them out of SLOW in tests/structure/quick.py; no other rule would choose them.")


def test_a_warning_of_the_site_is_an_error() -> None:
    build = re.search(r"mkdocs build.*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert build is not None
    assert "--strict" in build[0]
    assert "-q" not in build[0], "with --quiet warnings are not counted, and --strict passes over them"
