"""What the fuzzer generates differently, because the reference does not specify it.

The fuzzer loads this by name, in its own process.
"""

from typing import Any

import schemathesis

_UNSETTLED = ("accountId", "dataSourceId", "timezone")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Send no null for an optional field, and no whole number written `1.0`.

    The description allows no null, but services of this kind take it for absent: a list is wrong without doubt. And
    they refuse 1.0, where JSON Schema sees an integer.
    """
    if isinstance(case.body, dict):
        case.body = {name: _settled(value) if name in _UNSETTLED else value for name, value in case.body.items()}


def _settled(value: Any) -> Any:
    if value is None:
        return []
    return int(value) if isinstance(value, float) and value.is_integer() else value
