"""How Sphinx builds the site: `make docs`. Warnings are errors.

The source folder is the whole repository, so that a page which people also read elsewhere, such as SECURITY.md, is part
of the site as it is, with its links. The path of a page is that of its file.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path
from shutil import copyfile
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

import attrs
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

from domo_oauth import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))

logger = logging.getLogger(__name__)

project = "domo-oauth"
author = "The domo-oauth authors"
release = __version__
extensions = [
    "figures",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "openapi/*.md",
    "interop/**.md",
    "benchmarks/**.md",
]
# Folders that are not searched, and results that are part of other pages.
exclude_patterns = [".*", "**/node_modules", "build", "dist", "src", "tests", "generated"]

default_role = "code"  # `name` in a docstring
highlight_language = "none"
smartquotes = False  # it would make a dash of the hyphens in --help
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_default_options = {"members": True, "inherited-members": "Exception,str,Auth,object"}
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "domo-oauth"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_use_index = html_domain_indices = False
templates_path = ["_templates"]
html_additional_pages = {"index": "redirect.html"}  # from / to /docs/index.html
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "  # not part of what is copied


class Folders(SphinxPostTransform):
    """Make a link to a folder a link to its README.md, or its text alone if the site does not have that."""

    default_priority = 8  # before MyST reports a missing target

    def run(self, **_options: Any) -> None:
        """Replace the links of a page."""
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link["reftype"] != "myst" or link["refdomain"] is not None:
                continue
            target = (ROOT / self.env.docname).parent / link["reftarget"]
            if not target.is_dir():
                continue
            page = (target / "README").resolve().relative_to(ROOT).as_posix()
            text = link[0].deepcopy()
            known = page in self.env.all_docs
            link.replace_self(make_refnode(self.app.builder, self.env.docname, page, "", text) if known else text)


def check_docstring(_app: Sphinx, what: str, name: str, obj: object, _options: object, lines: list[str]) -> None:
    """Report a public name without a docstring, or a class whose docstring leaves out a field."""
    if not any(lines):
        logger.warning("%s has no docstring", name, type="docs", subtype="docstring")
    if what == "class" and isinstance(obj, type) and attrs.has(obj):
        told, documented = "\n".join(lines), ModuleAnalyzer.for_module(obj.__module__).find_attr_docs()
        for field in attrs.fields(obj):
            known = f" {field.name}:" in told or (obj.__name__, field.name) in documented
            if not known and not field.name.startswith("_"):
                logger.warning("%s.%s has no docstring", name, field.name, type="docs", subtype="docstring")


def check_member(_app: Sphinx, what: str, name: str, obj: object, skip: bool, _options: object) -> bool | None:  # noqa: FBT001 -- Sphinx's interface
    """Report a public method or property without a docstring, which autodoc leaves out."""
    function = obj.fget if isinstance(obj, property) else obj
    ours = str(getattr(function, "__module__", "")).startswith("domo_oauth") and not name.startswith(("_", "test_"))
    if what == "class" and skip and ours and not function.__doc__:
        logger.warning("%s has no docstring", getattr(function, "__qualname__", name), type="docs", subtype="docstring")
    return None


def show_file_names(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Show the name in `title="name"` above a block of code, as the text says to save it."""
    caption = r"\1```{code-block} \2\n\1:caption: \3\n"
    source[0] = re.sub(r'^( *)```(\w+) title="([^"]+)"$', caption, source[0], flags=re.MULTILINE)


def escape_help(_app: Sphinx, _context: object, lines: list[str]) -> None:
    """Keep an asterisk in a command's help from being read as markup."""
    lines[:] = [re.sub(r"(?<!\*)\*(?!\*)", r"\*", line) for line in lines]  # not **Required**, which sphinx-click adds


def show_blocks(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Show what click prints as it is, such as examples, as blocks of code; the exit statuses only once."""
    shown: list[str] = []
    for is_block, group in groupby(lines, key=lambda line: line.startswith("| ")):
        if not is_block:
            escape_help(app, context, text := [*group])
            shown += text
            continue
        title, *block = dedent("\n".join(line.removeprefix("| ") for line in group)).splitlines()
        if title != "Exit status:" or context.parent is None:
            shown += [title, "", "::", "", indent(dedent("\n".join(block)), "   "), ""]
    lines[:] = "\n".join(shown).splitlines()


def copy_page(app: Sphinx, error: Exception | None) -> None:
    """Put the interactive page of the contract, which `make page` builds, into the site."""
    if error is None and app.builder.name == "html":
        (Path(app.outdir) / "page").mkdir(exist_ok=True)
        copyfile(ROOT / "build/page/index.html", Path(app.outdir) / "page/index.html")


def setup(app: Sphinx) -> None:
    """Connect the checks, before napoleon rewrites the docstrings."""
    app.connect("build-finished", copy_page)
    app.add_post_transform(Folders)
    app.connect("source-read", show_file_names)
    app.connect("autodoc-process-docstring", check_docstring, priority=100)
    app.connect("autodoc-skip-member", check_member)
    for part in ("options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", escape_help)
    for part in ("description", "epilog"):
        app.connect(f"sphinx-click-process-{part}", show_blocks)
