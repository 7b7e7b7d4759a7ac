"""Write hashes.txt: the sha256 of every file of the tested versions that a supported machine may be given, asked through pip's own finder.

pip knows the index; this file does not. It uses pip from the inside, which may change: tried with pip 23.2 and 24. Nothing is downloaded.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from pip._internal.commands import create_command
from pip._internal.index.collector import parse_links
from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
MINORS = range(11, 15)  # CPython 3.11 to 3.14
HEAD = """# What `make setup` installs, with the sha256 of every file that a supported machine may be given: wheels for
# CPython 3.11 to 3.14 on Linux (x86_64, aarch64), and sources. The versions are those of constraints.txt, one
# package a line. How to renew it: CONTRIBUTING.md.
"""


def _runs_here(tag: Any) -> bool:
    """Is a wheel of this tag for one of our machines?"""
    linux = "manylinux" in tag.platform and tag.platform.endswith(("x86_64", "aarch64"))
    if tag.platform != "any" and not linux:
        return False
    if not tag.interpreter.startswith("cp3"):
        return tag.interpreter.startswith("py")
    minor = int(tag.interpreter[3:])
    return (tag.abi == "abi3" and minor <= MINORS[-1]) or (tag.abi in (tag.interpreter, "none") and minor in MINORS)


def _wanted(filename: str, package: str, version: str) -> bool:
    if filename.endswith(".whl"):
        try:
            _, found, _, tags = parse_wheel_filename(filename)
        except ValueError:
            return False
        return str(found) == version and any(map(_runs_here, tags))
    source = re.fullmatch(r"(.*)-([^-]+)(\.tar\.gz|\.zip)", filename)
    return source is not None and canonicalize_name(source[1]) == package and source[2] == version


def hashes_of(finder: Any, package: str, version: str) -> list[str]:
    """Sorted sha256 of the files of one version."""
    collector, found = finder._link_collector, set()
    for source in collector.collect_sources(project_name=package, candidates_from_page=lambda page: []).index_urls:
        page = collector.fetch_response(source.link) if source is not None else None
        for link in parse_links(page) if page is not None else ():
            if link.hash_name == "sha256" and _wanted(link.filename, package, version):
                found.add(link.hash)
    return sorted(found)


def main() -> None:
    """All of constraints.txt."""
    command = create_command("download")
    options, _ = command.parse_args(["nothing"])
    options.find_links, options.extra_index_urls = [], []
    lines = []
    with command.main_context():
        finder = command._build_package_finder(options, command._build_session(options))
        for line in (ROOT / "constraints.txt").read_text().splitlines():
            if line.startswith("#") or not line:
                continue
            found = hashes_of(finder, *line.split("=="))
            if not found:
                sys.exit(f"{line}: the index has no file for it")
            lines.append(" ".join([line, *(f"--hash=sha256:{value}" for value in found)]))
    (ROOT / "hashes.txt").write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
