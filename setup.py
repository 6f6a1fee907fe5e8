"""Builds the fused op with the package; see pyproject.toml for the rest.

Environment variables:
  CXX: the C++ compiler, `g++` unless given.
  CXXFLAGS: further compiler flags, such as `-Wall -Wextra -Werror`.
  RATM_TF_REQUIRE_FUSED: 1 makes it an error that the op does not build;
    otherwise the package installs without it and uses plain TensorFlow.
  RATM_TF_CUDA: 1 builds the CUDA kernels too, which no GPU has run yet.
  NVCC: the CUDA compiler; otherwise the one of CUDA_HOME, or on the PATH.
"""

import concurrent.futures
import os
import pathlib
import platform
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
CUDA_SOURCES = ["gaussian_glimpse_cuda.cu", "gaussian_glimpse_gpu.cc"]
CUDA_FLAGS = [
    "-gencode=arch=compute_80,code=sm_80",
    # With PTX, which the driver compiles for GPUs yet to come.
    "-gencode=arch=compute_90,code=[sm_90,compute_90]",
    "--threads=0",
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
            *("-O3", "-DNDEBUG", "-I."),
            # System headers keep TensorFlow's own warnings quiet.
            *(
                part
                for flag in tf.sysconfig.get_compile_flags()
                for part in (
                    ["-isystem", flag[2:]] if flag.startswith("-I") else [flag]
                )
            ),
        ]
        host_only = [
            # Without errno and traps, rounding is an instruction and not a call.
            *("-fPIC", "-fno-math-errno", "-fno-trapping-math"),
            *shlex.split(os.environ.get("CXXFLAGS", "")),
        ]
        objects = pathlib.Path(self.build_temp)
        objects.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)

        nvcc = _find_nvcc()
        cuda_jobs = [(OPS / name, objects / f"{name}.o", []) for name in CUDA_SOURCES]
        if nvcc is not None:
            through = [f"-Xcompiler={flag}" for flag in host_only]
            _compile([nvcc, *CUDA_FLAGS, *common, *through], cuda_jobs)

        defines = [] if nvcc is None else ["-DRATM_CUDA"]
        jobs = [(OPS / name, objects / f"{name}.o", defines) for name in SOURCES]
        jobs += [
            (
                OPS / SIMD_SOURCE,
                objects / f"{SIMD_SOURCE}.{name}.o",
                [f"-DRATM_SIMD={name}", *flags],
            )
            for name, flags in SIMD_FLAGS.items()
        ]
        _compile([*compiler, *common, *host_only], jobs)

        temporary = target.with_suffix(".so.tmp")
        linker = compiler
        if nvcc is not None:
            jobs += cuda_jobs
            # CUDA's runtime comes along, so that the library also loads where there
            # is none, and stays private, as TensorFlow has one of its own.
            linker = [
                *(nvcc, "-cudart=static"),
                "-Xlinker=--exclude-libs=libcudart_static.a",
            ]
        outputs = [output for _, output, _ in jobs]
        link_flags = tf.sysconfig.get_link_flags()
        _run([*linker, "-shared", *outputs, "-o", temporary, *link_flags])
        os.replace(temporary, target)


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
