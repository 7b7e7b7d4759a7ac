"""Find a strategy that is to be checked: by the path of its file, or by its name (in the package, or of an entry point)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from hftkit.errors import ParamsError
from hftkit.params.format import FrozenParams, body_of, digest_of, load
from hftkit.strategies import Strategy, register, strategy


def find_strategy(name: str) -> Strategy:
    """The strategy in the file `name`, registered for this process under its own name, or the one that is installed as `name`.

    Raises ParamsError: there is none, or its file cannot be imported.
    """
    if not name.endswith(".py"):
        return strategy(name)
    module = _import(Path(name).resolve())
    found = vars(module).get("STRATEGY")
    if not isinstance(found, Strategy):
        raise ParamsError(f"{name} has no STRATEGY", "Make a working file with: hftkit strategy new NAME")
    register(found)
    return found


def _import(path: Path) -> ModuleType:
    """Import a file under its own name, so that its kernels are cached as those of an installed one."""
    if not path.is_file():
        raise ParamsError(f"there is no file {path}", "Make one with: hftkit strategy new NAME")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ParamsError(f"{error.filename}:{error.lineno}: {error.msg}", "Mend it there") from None
    except Exception as error:
        raise ParamsError(f"{path} cannot be imported ({type(error).__name__}: {error})", "Mend it there") from None
    return module


def parameters_for(found: Strategy, params: str) -> FrozenParams:
    """The frozen file at `params`, or the parameters that the strategy's module offers as `example()`. Raises ParamsError."""
    if params:
        return load(params)
    make = vars(sys.modules[found.module]).get("example") if found.module in sys.modules else None
    if make is None:
        raise ParamsError(f"there are no parameters to try {found.name} with", "Name a frozen file with --params, or give its module an example()")
    frozen = make()
    body = body_of(frozen)
    return type(frozen)(**{**{name: getattr(frozen, name) for name in frozen.__struct_fields__}, "digest": digest_of(body)})
