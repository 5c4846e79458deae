"""The code version of an asset is the constant of the core module that does its work."""

import ast
from importlib.util import find_spec
from pathlib import Path

CONSTANT = "CODE_VERSION"


def code_version(module: str) -> str:
    """The constant `CODE_VERSION` of `module`, read from its source: importing it might import torch.

    Raises:
        LookupError: the module has no such constant.
    """
    found = find_spec(module)
    if found is None or found.origin is None:
        raise LookupError(f"No module {module}: an asset takes its code version from it")
    for statement in ast.parse(Path(found.origin).read_text(encoding="utf-8")).body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name == CONSTANT:
                return str(ast.literal_eval(value))
            case _:
                continue
    raise LookupError(f"{module} has no constant {CONSTANT}: an asset takes its code version from it")
