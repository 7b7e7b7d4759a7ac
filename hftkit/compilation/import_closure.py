"""Which source files decide what a module's kernels compile to: the module, and every file of our own that it imports, directly or through others.

A compiled kernel holds the code of the kernels that it calls and the constants that it reads, wherever they are written. All of them reach a module
by imports, so the files that an import can lead to are a safe answer: too many at worst, never too few. The files are read as text; nothing is
imported for it. "Our own" is hftkit, live and research, the package of the module that asks, and what lies beside it.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hftkit", "live", "research")
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]+))", re.MULTILINE)
# How kernels are compiled, and what of that decides on their code: the cache, its files and the errors do not.
_POLICY = {ROOT / "hftkit/kernels/jit.py": (ROOT / "hftkit/compilation/kernel_programs.py",), ROOT / "hftkit/compilation/kernel_programs.py": ()}
# Public names are imported when they are asked for (tests/structure: none is a kernel): their lists decide on no code.
_PUBLIC_NAMES = {ROOT / package / "__init__.py" for package in PACKAGES}
_FOREIGN = {"site-packages", "dist-packages"}  # folders of installed packages
_STDLIB = sysconfig.get_path("stdlib")


def _names(text: str) -> list[str]:
    """The modules or attributes that one import statement lists, without what they are called here."""
    lines = (line.split("#")[0] for line in text.strip("() \t\n").splitlines())
    return [name.split(" as ")[0].strip(" \\") for line in lines for name in line.split(",") if name.strip(" \\")]


@functools.cache
def _read(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """SHA-256 of a source file, and the dotted names that its import statements mention (relative ones with their dots)."""
    content = path.read_bytes()
    found: list[str] = []
    for module, names, plain in _IMPORT.findall(content.decode("utf-8", "replace")):
        if plain:
            found += _names(plain)
        else:
            joint = "" if module.endswith(".") else "."
            found += [module, *(f"{module}{joint}{name}" for name in _names(names))]
    return hashlib.sha256(content).digest(), tuple(dict.fromkeys(found))


@functools.cache
def _files_of(base: Path, name: str) -> tuple[Path, ...]:
    """Files that importing `name`, found under the folder `base`, executes: each package's `__init__.py`, then the module, where they exist."""
    found: list[Path] = []
    folder = base
    for part in name.split("."):
        if (module := folder / f"{part}.py").is_file():
            return (*found, module)
        folder = folder / part
        if (package := folder / "__init__.py").is_file():
            found.append(package)
        elif not folder.is_dir():
            break
    return tuple(found)


@functools.cache
def _public(init: Path) -> dict[str, str]:
    """The public names of a package of ours, dotted, and the module that each comes from; {} of any other."""
    found = re.findall(r'^    "(\w+)": "([\w.]+)(?::\w+)?",$', init.read_text(encoding="utf-8"), re.MULTILINE) if init in _PUBLIC_NAMES else []
    return {f"{init.parent.name}.{name}": module for name, module in found}


def _imported(name: str, importer: Path, roots: dict[str, Path], beside: Path | None) -> tuple[Path, ...]:
    """Files of our own that the import of `name` leads to. `roots`: where our packages lie; `beside`: a folder whose modules are our own, too."""
    absolute = name.lstrip(".")
    dots = len(name) - len(absolute)
    if dots:
        return _files_of(importer.parents[dots - 1], absolute) if absolute else ()
    top = absolute.split(".")[0]
    if top in roots:
        return _files_of(roots[top], _public(roots[top] / top / "__init__.py").get(absolute, absolute))
    if beside is not None and (found := _files_of(beside, absolute)):
        return found
    path = getattr(sys.modules.get(absolute), "__file__", None)  # a package of the user, wherever it was found
    return (Path(path),) if path and path.endswith(".py") and not _is_foreign(Path(path)) else ()


def _is_foreign(path: Path) -> bool:
    return not _FOREIGN.isdisjoint(path.parts) or path.is_relative_to(_STDLIB)


@functools.cache
def sources(path: Path, module: str) -> tuple[Path, ...]:
    """All source files that the kernels of `module`, whose file is `path`, can depend on, sorted. Files that cannot be read are left out."""
    roots = dict.fromkeys(PACKAGES, ROOT)
    parts = module.split(".")
    beside = None
    if len(parts) > 1 and parts[0] not in roots:
        roots[parts[0]] = path.parents[len(parts) - (2 if path.name == "__init__.py" else 1)]
    elif len(parts) == 1 and not _is_foreign(path):
        beside = path.parent
    seen: set[Path] = set()
    ahead = [path]
    while ahead:
        current = ahead.pop()
        if current in seen or current in _PUBLIC_NAMES:
            continue
        try:
            _, names = _read(current)
        except OSError:
            continue
        seen.add(current)
        if current in _POLICY:
            ahead.extend(_POLICY[current])
        else:
            ahead.extend(found for name in names for found in _imported(name, current, roots, beside))
    return tuple(sorted(seen))


@functools.cache
def digest(path: Path, module: str) -> str:
    """SHA-256 (hex) of all those files, of their bytes and of where they lie under the folder that holds hftkit: other places, same digest."""
    total = hashlib.sha256()
    for source in sources(path, module):
        place = source.relative_to(ROOT) if source.is_relative_to(ROOT) else Path(source.name)
        total.update(str(place).encode() + b"\0" + _read(source)[0])
    return total.hexdigest()
