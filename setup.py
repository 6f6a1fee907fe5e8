"""Builds the fused op with the package; see pyproject.toml for the rest.

Environment variables:
  CXX: the C++ compiler, `g++` unless given.
  CXXFLAGS: further compiler flags, such as `-Wall -Wextra -Werror`.
  RATM_TF_REQUIRE_FUSED: 1 makes it an error that the op does not build;
    otherwise the package installs without it and uses plain TensorFlow.
  RATM_TF_CUDA: 1 builds the CUDA kernels too.
  RATM_TF_CUDA_ARCHITECTURES: the GPUs to build them for, compute capabilities from
    the oldest on such as `75,80,90`; otherwise those of custom_ops/sources.bzl.
  NVCC: the CUDA compiler; otherwise the one of CUDA_HOME, or on the PATH.
"""

import concurrent.futures
import os
import pathlib
import platform
import runpy
import shlex
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

ROOT = pathlib.Path(__file__).resolve().parent
OP = runpy.run_path(str(ROOT / "custom_ops" / "sources.bzl"))
RECORD = runpy.run_path(str(ROOT / "ratm_tf" / "attention" / "build_record.py"))


class BuildOp(build_ext):
    """Compiles the op library, or says that the package does without it."""

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
        for ext in self.extensions:
            name = self.get_ext_filename(ext.name)
            built = RECORD["path_of"](os.path.join(self.build_lib, name))
            if built.exists():
                shutil.copy(built, RECORD["path_of"](ROOT / name))

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

        compiler = shlex.split(os.environ.get("CXX") or "g++")
        host_flags = ["-fPIC", *OP["HOST_FLAGS"]]
        host_flags += shlex.split(os.environ.get("CXXFLAGS", ""))
        flags = [*OP["FLAGS"], f"-I{ROOT}"]
        for flag in tf.sysconfig.get_compile_flags():
            # System headers keep TensorFlow's own warnings quiet.
            flags += ["-isystem", flag[2:]] if flag.startswith("-I") else [flag]
        objects = pathlib.Path(self.build_temp)
        objects.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)

        def jobs(sources, *flags, name=""):
            outputs = [
                objects / f"{source.replace('/', '_')}{name}.o" for source in sources
            ]
            return [(ROOT / s, o, flags) for s, o in zip(sources, outputs, strict=True)]

        nvcc = _find_nvcc()
        architectures = []
        cuda_jobs = []
        if nvcc is not None:
            chosen = os.environ.get("RATM_TF_CUDA_ARCHITECTURES", "")
            architectures = list(filter(None, chosen.split(",")))
            architectures = architectures or OP["CUDA_ARCHITECTURES"]
            cuda_flags = OP["cuda_architecture_flags"](architectures)
            cuda_jobs = jobs([OP["CUDA_KERNELS"], *OP["CUDA_SOURCES"]])
            through = [f"-Xcompiler={flag}" for flag in host_flags]
            _compile([nvcc, *cuda_flags, "--threads=0", *flags, *through], cuda_jobs)

        instruction_sets = {"generic": []}
        if platform.machine().lower() in ("x86_64", "amd64"):
            instruction_sets = OP["SIMD_FLAGS"]
        host_jobs = jobs(OP["SOURCES"], *([] if nvcc is None else ["-DRATM_CUDA"]))
        for name, simd_flags in instruction_sets.items():
            simd_flags = [f"-DRATM_SIMD={name}", *simd_flags]
            host_jobs += jobs([OP["SIMD_SOURCE"]], *simd_flags, name=f".{name}")
        _compile([*compiler, *flags, *host_flags], host_jobs)

        temporary = target.with_suffix(".so.tmp")
        linker = compiler
        if nvcc is not None:
            # CUDA's runtime comes along, so that the library also loads where there
            # is none, and stays private, as TensorFlow has one of its own.
            linker = [
                *(nvcc, "-cudart=static"),
                "-Xlinker=--exclude-libs=libcudart_static.a",
            ]
        outputs = [output for _, output, _ in host_jobs + cuda_jobs]
        link_flags = tf.sysconfig.get_link_flags()
        _run([*linker, "-shared", *outputs, "-o", temporary, *link_flags])
        # Never a library with the record of another.
        RECORD["path_of"](target).unlink(missing_ok=True)
        os.replace(temporary, target)
        RECORD["write"](
            target,
            ROOT,
            tensorflow=tf.__version__,
            compiler=_run([*compiler, "--version"]).splitlines()[0],
            flags=[*OP["FLAGS"], *host_flags],
            instruction_sets=list(instruction_sets),
            gpu_architectures=architectures,
            nvcc=nvcc and _run([nvcc, "--version"]).split("release ")[1].split(",")[0],
        )


def _find_nvcc():
    """Returns the CUDA compiler, or None where it is not wanted."""
    if os.environ.get("RATM_TF_CUDA") != "1":
        return None
    home = os.environ.get("CUDA_HOME")
    places = [
        os.environ.get("NVCC"),
        home and os.path.join(home, "bin", "nvcc"),
        "nvcc",
    ]
    nvcc = next(filter(None, map(shutil.which, filter(None, places))), None)
    if nvcc is None:
        raise RuntimeError("RATM_TF_CUDA=1 asks for CUDA, and there is no nvcc")
    return nvcc


def _compile(command, jobs):
    """Compiles (source, object, further flags), as many at once as there are CPUs."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        compilations = [
            pool.submit(_run, [*command, *flags, "-c", source, "-o", output])
            for source, output, flags in jobs
        ]
    for compilation in compilations:
        compilation.result()


def _run(command):
    result = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(f"{shlex.join(result.args)}\n{result.stdout}")
    return result.stdout


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
