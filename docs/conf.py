"""The documents: Sphinx, MyST, no network while building or reading. `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "stresnet"
author = "the stresnet authors"
html_title = "stresnet"
html_show_copyright = False

extensions = [
    "myst_nb",  # which brings MyST
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "drawings",
    "mathml",
    "verbs",
]
exclude_patterns = ["_build"]

# Markdown. Headings are link targets; $formulas$ are MathML (_extensions/mathml.py).
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
highlight_language = "none"  # of indented blocks, which hold commands, drawings and trees alike

# The notebook is executed by its test, not here: the outputs shown are those committed.
nb_execution_mode = "off"

# Docstrings: Google's sections; one pair of backticks is code, as in Markdown.
default_role = "code"
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
