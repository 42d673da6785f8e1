"""A Sphinx extension that reads docstrings in the style of this package.

They are written to be read in a terminal: a promise, formulas in indented blocks, `Args:`, `Raises:`, a reference, a
doctest; `single backticks` are code. Here that becomes reStructuredText, before napoleon sees the sections.
"""

import importlib
import inspect
import re
import textwrap
from collections.abc import Collection
from typing import Any

SECTION = re.compile(r"(Args|Returns|Raises):$")
REFERENCE = re.compile(r"(References?):")
FIELD = re.compile(r"    (\w+):[^#]*#\s*(.*)")
ABBREVIATED = re.compile(r"(?:fg\.)?([A-Za-z_][\w.]*)")
SPACES = {"": "funcgd"} | {room: f"funcgd.{room}" for room in ("plots", "problems", "stop", "tree")}


def convert(lines: list[str], arguments: Collection[str] = ()) -> list[str]:
    """The lines of a docstring as reStructuredText with napoleon's sections; names of `arguments` are no links."""
    out: list[str] = []
    in_section = in_doctest = in_block = False
    for line in lines:
        previous = out[-1] if out else ""
        if not line.strip():
            in_doctest = False
            out.append("")
            continue
        if line.lstrip().startswith(">>>"):
            in_doctest = True
        if in_doctest:
            in_section = in_block = False
            out.append(line)
            continue
        indented = line.startswith("    ")
        if not indented:
            in_block, in_section = False, bool(SECTION.match(line))
            if line == "Returns:":  # napoleon would take what stands before a colon for a type
                out.append(":returns:")
                continue
            if in_section or line.startswith("Fields:"):
                out.append(line)
                continue
        elif not in_section and (in_block or not previous):  # a formula
            if not in_block:
                out += [".. code-block:: none", "   :class: formula", ""]
            in_block = True
            out.append(line.replace("`", ""))
            continue
        line = inline(line, arguments)
        out.append(REFERENCE.sub(r"**\1.**", line, count=1) if REFERENCE.match(line) else line)
    return out


def inline(text: str, arguments: Collection[str] = ()) -> str:
    """Text with `code` as literals, or links to public names, and with the marks of reStructuredText escaped."""
    parts = re.split(r"(``.*?``|`[^`]*`)", text)
    done = []
    for i, part in enumerate(parts):
        if not part.startswith("`"):
            done.append(re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part))
            continue
        code = part.strip("`")
        before, after = parts[i - 1] if i else "", parts[i + 1] if i + 1 < len(parts) else ""
        target = None if code in arguments else public_name(code)
        role = f":py:obj:`{code} <{target}>`" if target else f"``{code}``"
        glue = "\\ "
        done.append(f"{glue * before[-1:].isalnum()}{role}{glue * after[:1].isalnum()}")
    return "".join(done)


def public_name(code: str) -> str | None:
    """The full name of the public object that `code` names, as `sgd`, `fg.sgd`, `fg.stop.gradient_norm` do."""
    found = ABBREVIATED.fullmatch(code.removesuffix("()"))
    if not found:
        return None
    space, _, name = found[1].rpartition(".")
    if space not in SPACES or (not space and not code.startswith("fg.") and len(name) < 3):
        return None
    thing = getattr(importlib.import_module("funcgd"), space) if space else importlib.import_module("funcgd")
    thing = getattr(thing, name, None)
    home = str(getattr(thing, "__module__", ""))
    return f"{SPACES[space]}.{name}" if home.startswith("funcgd") and not inspect.ismodule(thing) else None


def argument_names(thing: Any) -> set[str]:
    """The names of the arguments of a function or class, and those that the training step passes."""
    try:
        return {"value", *inspect.signature(thing).parameters}
    except (TypeError, ValueError):
        return {"value"}


def fields(cls: Any) -> list[str]:
    """The fields of a record with the comments that stand beside them, as a list."""
    rows = []
    for line in textwrap.dedent(inspect.getsource(cls)).split("\n"):
        found = FIELD.match(line)
        if found and found[1] in getattr(cls, "__annotations__", {}):
            rows.append(f"- **{found[1]}**: {inline(re.sub(r'^noqa: [A-Z0-9]+ - ', '', found[2]))}")
    return ["Fields:", "", *rows, ""] if rows else []


def on_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    del app, name, options
    new = convert(lines, argument_names(obj))
    if what == "class":
        listed = fields(obj)
        first = next((i for i, line in enumerate(new) if line.startswith(">>>")), len(new))
        new = [*new[:first], *([""] if listed else []), *listed, *new[first:]]
    if what == "property" and new:  # napoleon would take what stands before a colon for a type
        new[0] = new[0].replace(": ", " – ", 1)
    lines[:] = new


def on_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Defaults as one would write them."""
    del app, what, name, obj, options
    if signature:
        signature = re.sub(r"<dataclasses\._MISSING_TYPE object[^>]*>", "…", signature)
        signature = re.sub(r"<class '(\w+)'>", r"\1", signature)
    return signature, returns


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-signature", on_signature)
    app.connect("autodoc-process-docstring", on_docstring, priority=400)  # napoleon comes at 500
    return {"parallel_read_safe": True}
