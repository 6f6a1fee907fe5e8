"""Builds the fused op with the package; see pyproject.toml for the rest.

Environment variables:
  CXX: the C++ compiler, `g++` unless given.
  CXXFLAGS: further compiler flags, such as `-Wall -Wextra -Werror`.
  RATM_TF_REQUIRE_FUSED: 1 makes it an error that the op does not build;
    otherwise the package installs without it and uses plain TensorFlow.
"""

import concurrent.futures
import os
import pathlib
import platform
import shlex
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

TENSORFLOW_VERSION = "2.21"
OPS = pathlib.Path("custom_ops")
SOURCES = [
    "gaussian_glimpse_cpu.cc",
    "gaussian_glimpse_kernels.cc",
    "gaussian_glimpse_ops.cc",
]
# The arithmetic is compiled once for each instruction set.
SIMD_SOURCE = "gaussian_glimpse_simd.cc"
SIMD_FLAGS = {"generic": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    SIMD_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    SIMD_FLAGS["avx512"] = [
        *(f"-mavx512{extension}" for extension in ("f", "bw", "dq", "vl")),
        "-mfma",
        "-mprefer-vector-width=512",
    ]


class BuildOp(build_ext):
    """Compiles the op library, or says that the package does without it."""

    def get_ext_filename(self, fullname):
        """Names the library without Python's ABI, which it does not use."""
        return os.path.join(*fullname.split(".")) + ".so"

    def finalize_options(self):
        """Leaves the choice of compiler to `CXX`."""
        super().finalize_options()
        self.compiler = None

    def build_extension(self, ext):
        """Builds one library at a temporary path, then moves it into place."""
        target = pathlib.Path(self.get_ext_fullpath(ext.name))
        try:
            self._build(target)
        except (ImportError, OSError, RuntimeError) as error:
            if os.environ.get("RATM_TF_REQUIRE_FUSED") == "1":
                raise
            print(
                f"\nratm-tf: the fused Gaussian glimpse was not built, so the package "
                f"uses plain TensorFlow, which is slower. The reason: {error}\n",
                file=sys.stderr,
            )

    def _build(self, target):
        import tensorflow as tf

        if not tf.__version__.startswith(f"{TENSORFLOW_VERSION}."):
            raise RuntimeError(
                f"it needs TensorFlow {TENSORFLOW_VERSION}, not {tf.__version__}"
            )
        compiler = shlex.split(os.environ.get("CXX") or "g++")
        common = [
            *("-O3", "-DNDEBUG", "-fPIC", "-I."),
            # Rounding and square roots are then instructions, not calls.
            *("-fno-math-errno", "-fno-trapping-math"),
            # System headers keep TensorFlow's own warnings quiet.
            *(
                f"-isystem{flag[2:]}" if flag.startswith("-I") else flag
                for flag in tf.sysconfig.get_compile_flags()
            ),
            *shlex.split(os.environ.get("CXXFLAGS", "")),
        ]
        objects = pathlib.Path(self.build_temp)
        objects.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)

        jobs = [(OPS / name, objects / f"{name}.o", []) for name in SOURCES]
        jobs += [
            (
                OPS / SIMD_SOURCE,
                objects / f"{SIMD_SOURCE}.{name}.o",
                [f"-DRATM_SIMD={name}", *flags],
            )
            for name, flags in SIMD_FLAGS.items()
        ]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            compilations = [
                pool.submit(
                    _run, [*compiler, *common, *flags, "-c", source, "-o", output]
                )
                for source, output, flags in jobs
            ]
        for compilation in compilations:
            compilation.result()

        temporary = target.with_suffix(".so.tmp")
        outputs = [output for _, output, _ in jobs]
        link_flags = tf.sysconfig.get_link_flags()
        _run([*compiler, "-shared", *outputs, "-o", temporary, *link_flags])
        os.replace(temporary, target)


def _run(command):
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(f"{shlex.join(result.args)}\n{result.stdout}")


class BuildWheel(bdist_wheel):
    """Tags the wheel for its platform, and for every Python 3."""

    def get_tag(self):
        """Returns the Python, ABI and platform tags."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension("ratm_tf.attention._gaussian_glimpse_ops", [], optional=True)
    ],
    cmdclass={"build_ext": BuildOp, "bdist_wheel": BuildWheel},
)
