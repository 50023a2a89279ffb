"""Configuration of the site. Build it with ``python start.py docs`` or, with the extra docs installed, docs/build_site.py."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE), str(HERE / "_extensions")]

import api_pages

import featrec

project = "featrec"
author = "The featrec developers"
copyright = "The featrec developers"
version = release = featrec.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "demo_pages",
    "lesson_pages",
    "mathml",
    "name_links",
    "plain_html",
    "python_pages",
    "repository_links",
]
include_patterns = ["**.md", "**.rst", "how_to/*.py", "lessons/visual_words.py", "course/lesson_*.py"]
exclude_patterns = ["_*", "pictures", "inventories", "gallery/sg_execution_times.rst", "sg_execution_times.rst", "course/*/**"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext", ".py": "python page"}
root_doc = "index"
nitpicky = False

# In docstrings, `name` is a parameter or a public name.
default_role = "py:obj"
autodoc_typehints = "none"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "toc.multiple_toc_parents"]

# Text files of this repository, in version 1 of Sphinx's format, so that a build reads nothing from the network.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "inventories/python.txt"),
    "numpy": ("https://numpy.org/doc/stable", "inventories/numpy.txt"),
    "sklearn": ("https://scikit-learn.org/stable", "inventories/scikit-learn.txt"),
}

INSTALL_CELL = """\
try:
    import featrec
except ModuleNotFoundError:  # on Colab, Binder or another machine without featrec
    %pip install "featrec[plot]"
%matplotlib inline"""
sphinx_gallery_conf = {
    "examples_dirs": [str(ROOT / "examples")],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("featrec",),
    "reference_url": {"featrec": None},
    "prefer_full_module": {r"featrec\..*"},
    "first_notebook_cell": INSTALL_CELL,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 10**6,
    "reset_modules": ("matplotlib",),
    "thumbnail_size": (480, 300),
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
}

templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "featrec"
html_static_path = ["_static"]
html_favicon = "_static/logo.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "featrec", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "alt_text": ""},
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_nav_level": 1,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "five_minutes": [], "which_features": [], "limits": []}

api_pages.write(HERE / "api")
