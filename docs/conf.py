"""How Sphinx builds the site: `make docs`. Nothing is fetched."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the extensions that stand beside this file

from pages_that_run import settings

project = "funcgd"
author = "the funcgd authors"
copyright = author
release = version = installed_version("funcgd")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "pages_that_run",
    "public",
]
sphinx_gallery_conf = settings(Path(__file__).parent)
exclude_patterns = ["_build", "lectures/GALLERY_HEADER.rst", "gallery/sources"]  # headers are part of index pages
myst_heading_anchors = 3
nitpicky = True
nitpick_ignore_regex = [("py:class", r".*")]  # annotations of other libraries, whose inventories are not fetched

autodoc_typehints = "none"  # docstrings state range and unit, which say more than a union of types
autodoc_member_order = "bysource"
napoleon_use_param = False
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "funcgd"
html_static_path = ["_static"]
html_css_files = ["funcgd.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
