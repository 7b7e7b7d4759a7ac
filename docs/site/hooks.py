"""What MkDocs is given: pages from all over the repository under their own paths, and pages that are made while the site is built.

Every page keeps the path that it has in the repository, so a link that works there works on the site. A link to a file that is no page
(a module, a configuration) becomes plain text; a link to nothing stays, and `--strict` fails on it.
"""

from __future__ import annotations

import ast
import posixpath
import re
import subprocess
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("*.md", "docs/*.md", "docs/images/*", "notebooks/*.ipynb", "notebooks/README.md", "examples/README.md", "data/README.md",
         "hftkit/README.md", "live/configs/README.md")  # fmt: skip
TITLES = {
    "README.md": "What hftkit is",
    "docs/README.md": "All pages",
    "notebooks/README.md": "The notebooks",
    "hftkit/README.md": "Glossary and package",
    "examples/README.md": "Examples",
    "data/README.md": "The data that is shipped",
    "live/configs/README.md": "Configurations that are shipped",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
ABOUT = {
    "hftkit": "What both sides agree on, the engine's past, and the simulated exchange.",
    "research": "Prices into pairs, pairs into rules, rules into frozen files.",
    "live": "What trades a frozen file, and what watches it.",
}


def public_names(package: str) -> list[tuple[str, list[str]]]:
    """(group, names) of a package's public names, as its `_PUBLIC` lists them under comments."""
    text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    groups: list[tuple[str, list[str]]] = []
    for comment, key in re.findall(r'^    # (.+)$|^    "(\w+)": "', text.split("_PUBLIC = {")[1].split("\n}")[0], re.MULTILINE):
        if comment:
            groups.append((comment, []))
        else:
            groups[-1][1].append(key)
    return groups


def is_module(package: str, key: str) -> bool:
    """Whether a public name is a module: its place has no attribute."""
    body = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")).body
    places = next(ast.literal_eval(one.value) for one in body if isinstance(one, ast.Assign) and getattr(one.targets[0], "id", "") == "_PUBLIC")
    return ":" not in places[key]


def reference(package: str) -> str:
    """The page of a package's public names."""
    lines = [f"# {package}: public names", "", ABOUT[package], f"Each is imported as `from {package} import NAME`.", ""]
    for group, names in public_names(package):
        lines += [f"## {group[0].upper()}{group[1:]}", ""]
        for key in names:
            lines += [f"::: {package}.{key}", *(["    options: {members: true}"] if is_module(package, key) else []), ""]
    return "\n".join(lines)


def commands() -> str:
    """The page of the commands, written by the installed `hftkit` itself."""
    done = subprocess.run([str(ROOT / ".venv/bin/python"), str(ROOT / "docs/site/commands.py")], capture_output=True, text=True, check=True)
    return done.stdout


@event_priority(100)  # before the plugin that turns notebooks into pages
def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File(path.relative_to(ROOT).as_posix(), str(ROOT), config.site_dir, config.use_directory_urls))
    for package in ABOUT:
        files.append(File.generated(config, f"reference/{package}.md", content=reference(package)))
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files that are no pages become text. The place of a page is that of its file."""
    here = posixpath.dirname(page.file.src_uri)

    def text_of(found: re.Match[str]) -> str:
        words, target, anchor = found.group(1), found.group(2), found.group(3) or ""
        path = posixpath.normpath(posixpath.join(here, target))
        if ":" in target or files.get_file_from_path(path) is not None:
            return found.group(0)
        if files.get_file_from_path(index := posixpath.join(path, "README.md")) is not None:
            return f"[{words}]({posixpath.relpath(index, here or '.')}{anchor})"
        return words if (ROOT / path).exists() else found.group(0)

    if page.file.src_uri in TITLES:
        page.meta.setdefault("title", TITLES[page.file.src_uri])
    return LINK.sub(text_of, markdown)
