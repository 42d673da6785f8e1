"""A Sphinx extension for the pages that run: how sphinx-gallery makes the lectures and the examples.

It adds a directive, `formula`, for formulas written as in docstrings, and a scraper for animations: a script that
leaves the path of a GIF in the variable `animation` shows it.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx_gallery.scrapers import figure_rst

# The others need a peer, kill processes, or take long.
EXECUTED = "plot_", "optax_vocabulary", "diagnose", "hypergradient", "landscape", "own_loop", "race", "sweep"
THUMBNAILS = {"digits": "_static/digits.png"}  # of scripts that are not executed
HEADERS = {
    "examples": """
Examples
========

Short scripts, each with one idea and a check of its own at the end. Those with output below them ran while the site was
built. The others are shown only: they train models of other libraries, kill processes on purpose, or take minutes.
""",
    "optax_vocabulary": """
In Optax's words
----------------

On the topics of its tutorials, in the names and the protocol that both libraries share: change the import to
``import optax as fg``, and they reach the same losses.
""",
}


def animations(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The GIF at `animation`, once, copied to where pictures of the page are."""
    path = block_vars["example_globals"].pop("animation", None)
    if path is None:
        return ""
    target = Path(next(block_vars["image_path_iterator"])).with_suffix(".gif")
    shutil.copy(path, target)
    return figure_rst([str(target)], gallery_conf["src_dir"])


def with_titles(examples: Path, target: Path) -> str:
    """Copies of the examples, whose docstrings begin with a sentence, under titles, which sphinx-gallery needs.

    A folder with a header is a section.
    """
    target.mkdir(parents=True, exist_ok=True)
    (target / "GALLERY_HEADER.rst").write_text(HEADERS[examples.name])
    for path in sorted(examples.glob("*.py")):
        title = path.stem.removeprefix("plot_").replace("_", " ").capitalize()
        opening, docstring, code = path.read_text().split('"""', 2)
        docstring = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", docstring)
        picture = THUMBNAILS.get(path.stem)
        comment = f"\n# sphinx_gallery_thumbnail_path = {picture!r}\n" if picture else ""
        new = f'{opening}"""\n{title}\n{"=" * len(title)}\n\n{docstring}"""{comment}{code}'
        copy = target / path.name
        if not copy.exists() or copy.read_text() != new:
            copy.write_text(new)
    for section in HEADERS:
        if (examples / section).is_dir():
            with_titles(examples / section, target / section)
    return str(target)


def settings(docs: Path) -> dict[str, Any]:
    """What `sphinx_gallery_conf` is."""
    names = "|".join(EXECUTED)
    return {
        "examples_dirs": [str(docs / "lectures"), with_titles(docs.parent / "examples", docs / "gallery" / "sources")],
        "gallery_dirs": ["gallery/lectures", "gallery/examples"],
        "backreferences_dir": "gallery/backreferences",  # which script uses which function
        "doc_module": ("funcgd",),
        "filename_pattern": rf"{os.sep}({names})",
        "within_subsection_order": "FileNameSortKey",
        "image_scrapers": ("pages_that_run.animations", "matplotlib"),
        "capture_repr": (),  # scripts print what they want to show
        "remove_config_comments": True,
        "download_all_examples": False,
        "write_computation_times": False,
        "show_signature": False,
        "min_reported_time": 1e9,  # how long this machine took says nothing
    }


class Formula(SphinxDirective):
    """The directive."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content)
        inner = nodes.literal_block(text, text, language="none", classes=["formula"])
        return [nodes.container("", inner, classes=["formula"])]


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("formula", Formula)
    return {"parallel_read_safe": True}
