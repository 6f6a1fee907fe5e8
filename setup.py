"""Builds the package; see pyproject.toml for the rest.

With the environment variable RATM_TF_REQUIRE_FUSED=1 it has the fused op, built as
ratm_tf/build.py says for the TensorFlow that is installed or, if there is none, for one
that pip brings for the build. Else it has the op's sources, for `ratm-tf build`.

RATM_TF_HOME_PAGE, an address under which the repository's files are, makes README's
links and pictures absolute, as a package index needs them.
"""

import os
import pathlib
import re
import shutil
import sys

from setuptools import Extension, setup

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    # pip would say what its search for dependencies ran into first.
    sys.exit(
        f"ratm-tf needs Python 3.10-3.13. This is Python {sys.version.split()[0]}."
    )

ROOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from setuptools.command.bdist_wheel import bdist_wheel  # noqa: E402
from setuptools.command.build_ext import build_ext  # noqa: E402
from setuptools.command.build_py import build_py  # noqa: E402

from ratm_tf import build  # noqa: E402

HOME_PAGE = os.environ.get("RATM_TF_HOME_PAGE")
FUSED = os.environ.get("RATM_TF_REQUIRE_FUSED") == "1"


class BuildPackage(build_py):
    """Adds the sources of the op to the package."""

    def run(self):
        """Copies them, unless they stay where they are."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(
                ROOT / "custom_ops",
                pathlib.Path(self.build_lib) / "ratm_tf" / "custom_ops",
                ignore=shutil.ignore_patterns("tests", "*.sh", "__pycache__"),
                dirs_exist_ok=True,
            )


class BuildOp(build_ext):
    """Builds the op library."""

    def get_ext_filename(self, fullname):
        """Names the library without Python's ABI, which it does not use."""
        return os.path.join(*fullname.split(".")) + ".so"

    def finalize_options(self):
        """Leaves the choice of compiler to `CXX`."""
        super().finalize_options()
        self.compiler = None

    def copy_extensions_to_source(self):
        """Copies the library's record with it, for an editable install."""
        super().copy_extensions_to_source()
        built = pathlib.Path(self.build_lib, "ratm_tf", "attention", build.LIBRARY.name)
        shutil.copy(built.with_suffix(".json"), build.LIBRARY.with_suffix(".json"))

    def build_extension(self, ext):
        """Builds the library where setuptools wants it."""
        build.build(self.get_ext_fullpath(ext.name))


class BuildWheel(bdist_wheel):
    """Tags a wheel with the op for its platform, and for every Python 3."""

    def get_tag(self):
        """Returns the Python, ABI and platform tags."""
        return ("py3", "none", super().get_tag()[2]) if FUSED else super().get_tag()


readme = (ROOT / "README.md").read_text()
if HOME_PAGE:
    home_page = HOME_PAGE.rstrip("/")
    readme = re.sub(r"\]\((?!\w+:|#)", lambda _: f"]({home_page}/", readme)

tensorflow = re.search('"(tensorflow[<>=].*?)"', (ROOT / "pyproject.toml").read_text())
setup(
    long_description=readme,
    long_description_content_type="text/markdown",
    ext_modules=[Extension(f"ratm_tf.attention.{build.LIBRARY.stem}", [])] * FUSED,
    setup_requires=[tensorflow[1]] * (FUSED and build.find_tensorflow() is None),
    cmdclass={
        "bdist_wheel": BuildWheel,
        "build_ext": BuildOp,
        "build_py": BuildPackage,
    },
)
