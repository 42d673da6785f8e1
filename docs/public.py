"""A Sphinx extension with one directive, `public`: the reference of all public names of one module.

    .. public:: funcgd.transforms

A table with a line for each name, then the names themselves. Nothing is listed by hand, so a new name documents itself.
"""

import dataclasses
import enum
import importlib
import inspect
import re
import sys
from typing import Any

from docstrings import argument_names, inline, public_name
from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

OWN_SPACE = tuple(f"funcgd.{room}" for room in ("plots", "problems", "stop", "testing", "tree"))  # not at the top level


def names(module: Any) -> list[str]:
    """The public names of a module, what one calls first and records last."""
    found = [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
    return sorted(found, key=lambda name: (name[0].isupper(), name.lower()))


def members(cls: Any) -> list[str]:
    """The methods of a class that have a docstring of their own; fields are described with the class."""
    annotated = set(getattr(cls, "__annotations__", {}))
    kinds = (property, classmethod, staticmethod)
    return [
        name
        for name, x in vars(cls).items()
        if not name.startswith("_")
        and name not in annotated
        and (inspect.isfunction(x) or isinstance(x, kinds))
        and x.__doc__
    ]


class Public(SphinxDirective):
    """The directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        where = self.arguments[0]
        module = importlib.import_module(where)
        space = where if where in OWN_SPACE else "funcgd"
        types = ModuleAnalyzer.for_module("funcgd.core.types").find_attr_docs()
        table, entries = [".. list-table::", "   :class: names", "   :widths: 35 65", ""], []
        for name in names(module):
            x, full = getattr(module, name), f"{space}.{name}"
            alias = types.get(("", name))
            first = " ".join(alias).strip() if alias else (inspect.getdoc(x) or "").split("\n")[0]
            shown = full.replace("funcgd", "fg", 1)
            table += [f"   * - :py:obj:`{shown} <{full}>`", f"     - {inline(first, argument_names(x))}"]
            if alias:
                entries += [f".. py:data:: {full}", "", f"   {inline(first)}", ""]
                continue
            kind = "class" if inspect.isclass(x) else "function"
            entries += [f".. auto{kind}:: {full}"]
            if kind == "class":
                listed = [*members(x), *(x.__members__ if issubclass(x, enum.Enum) else [])]
                entries += [f"   :members: {', '.join(listed)}"] if listed else []
                entries += ["   :undoc-members:"] if issubclass(x, enum.Enum) else []
            entries += [""]
        text = StringList([*table, "", *entries], source=self.get_source_info()[0])
        node = nodes.container()
        self.state.nested_parse(text, self.content_offset, node, match_titles=True)
        return node.children


def shorten(app: Any, doctree: nodes.document) -> None:
    """Names as one writes them after `import funcgd as fg`; their addresses keep the full name."""
    del app
    for node in doctree.findall(addnodes.desc_addname):
        text = node.astext()
        if text.startswith("funcgd."):
            node.children = [nodes.Text(text.replace("funcgd.", "fg.", 1))]
    for node in list(doctree.findall(addnodes.desc_annotation)):
        if re.fullmatch(r"(final\s+)?class\s*", node.astext()) and dataclasses.is_dataclass(described(node)):
            node.parent.remove(node)


def described(node: nodes.Node) -> Any:
    """The object that a signature is about."""
    signature = node.parent
    return getattr(sys.modules[signature["module"]], signature["fullname"], None) if signature.get("module") else None


def link_names(app: Any, doctree: nodes.document) -> None:
    """In the pages, `fg.adam` is a link to its reference."""
    for node in list(doctree.findall(nodes.literal)):
        code = node.astext()
        target = public_name(code) if code.startswith("fg.") else None
        inside = isinstance(node.parent, (nodes.reference, addnodes.pending_xref, nodes.title))
        if target and not inside and not node.get("classes"):
            link = addnodes.pending_xref(
                "", nodes.literal(code, code), refdomain="py", reftype="obj", reftarget=target, refexplicit=True
            )
            link["refdoc"] = app.env.docname
            node.replace_self(link)


def setup(app: Any) -> dict[str, bool]:
    package = importlib.import_module("funcgd")
    importlib.import_module("funcgd.plots")  # which does not come with the package
    # Sphinx imports the module that it documents; these two are attributes, and no modules of that name.
    for name in ("stop", "tree"):
        sys.modules[f"funcgd.{name}"] = getattr(package, name)
    app.add_directive("public", Public)
    app.connect("doctree-read", shorten)
    app.connect("doctree-read", link_names)
    return {"parallel_read_safe": True}
