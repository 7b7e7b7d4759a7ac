"""statsmodels' Dickey-Fuller test as a tuple, whatever its version: from 0.15 on it has to be asked for one."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from statsmodels.tsa import stattools

_ASKED = {"result_object": False} if "result_object" in inspect.signature(stattools.adfuller).parameters else {}
adfuller: Any = functools.partial(stattools.adfuller, **_ASKED)
