"""Builds the fused op for the TensorFlow that is there: `ratm-tf build`, and setup.py.

It needs nothing but Python, as it runs before TensorFlow is imported or the package
installed. What it compiles is kept in a cache of objects, so that nothing is compiled
twice, whichever environment asks.

Environment variables:
  CXX: the C++ compiler, `g++` unless given.
  CXXFLAGS: further compiler flags, such as `-Wall -Wextra -Werror`.
  RATM_TF_CUDA: 1 builds the CUDA kernels too.
  RATM_TF_CUDA_ARCHITECTURES: the GPUs to build them for, compute capabilities from
    the oldest on such as `75,80,90`; otherwise those of custom_ops/sources.bzl.
  NVCC: the CUDA compiler; otherwise the one of CUDA_HOME, or on the PATH.
  XDG_CACHE_HOME: where the cache lies, `~/.cache` unless given.
"""

import concurrent.futures
import hashlib
import importlib.machinery
import os
import pathlib
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib import metadata

_PACKAGE = pathlib.Path(__file__).resolve().parent
LIBRARY = _PACKAGE / "attention" / "_gaussian_glimpse_ops.so"
"""Where the package looks for the op library."""

SOURCES = _PACKAGE if (_PACKAGE / "custom_ops").is_dir() else _PACKAGE.parent
"""The folder that holds `custom_ops`: the package once installed, else the checkout."""

_RECORD = runpy.run_path(str(_PACKAGE / "attention" / "build_record.py"))
# As tf.sysconfig.get_compile_flags() has them, beside the include path.
TENSORFLOW_FLAGS = ["-D_GLIBCXX_USE_CXX11_ABI=1", "-DEIGEN_MAX_ALIGN_BYTES=64"]
_DAYS_KEPT = 30


def build(target=LIBRARY, log=print):
    """Compiles what is not compiled yet, and links the op library.

    Args:
        target: path of the library; its record is written beside it.
        log: function of a line that says what is done.

    Returns:
        The version of TensorFlow that it is built for.

    Raises:
        RuntimeError: there is no TensorFlow, no compiler, or it fails; `log` has then
            been given what it says.
        OSError: something cannot be written.

    Example:
    >>> build("/tmp/ops.so")  # doctest: +SKIP
    [1/8] custom_ops/ops.cc (20 s)
    ...
    """
    tensorflow, version = find_tensorflow() or (None, None)
    if tensorflow is None:
        raise RuntimeError("there is no TensorFlow to build the fused op for")
    compiler = shlex.split(os.environ.get("CXX") or "g++")
    if shutil.which(compiler[0]) is None:
        raise RuntimeError(f"there is no C++ compiler {compiler[0]}; CXX names another")
    described = _run([*compiler, "--version"], log).splitlines()[0]
    op = runpy.run_path(str(SOURCES / "custom_ops" / "sources.bzl"))
    host_flags = ["-fPIC", *op["HOST_FLAGS"]]
    host_flags += shlex.split(os.environ.get("CXXFLAGS", ""))
    flags = [*op["FLAGS"], *TENSORFLOW_FLAGS, "-I."]
    nvcc = _find_nvcc()

    commands = {}
    architectures = []
    if nvcc is not None:
        chosen = os.environ.get("RATM_TF_CUDA_ARCHITECTURES", "")
        architectures = list(filter(None, chosen.split(",")))
        architectures = architectures or op["CUDA_ARCHITECTURES"]
        cuda = [nvcc, *op["cuda_architecture_flags"](architectures), "--threads=0"]
        cuda += [*flags, *(f"-Xcompiler={flag}" for flag in host_flags)]
        for source in (op["CUDA_KERNELS"], *op["CUDA_SOURCES"]):
            commands[source] = [*cuda, "-c", source]
    host = [*compiler, *flags, *host_flags]
    instruction_sets = {"generic": []}
    if platform.machine().lower() in ("x86_64", "amd64"):
        instruction_sets = op["SIMD_FLAGS"]
    for name, simd_flags in instruction_sets.items():
        source = op["SIMD_SOURCE"]
        chosen = [f"-DRATM_SIMD={name}", *simd_flags]
        commands[f"{source} for {name}"] = [*host, *chosen, "-c", source]
    cuda_define = [] if nvcc is None else ["-DRATM_CUDA"]
    for source in op["SOURCES"]:
        commands[source] = [*host, *cuda_define, "-c", source]
    nvcc_version = nvcc and _run([nvcc, "--version"], log).split("release ")[1]
    tools = [described, nvcc_version, version]
    # System headers keep TensorFlow's own warnings quiet.
    system = ["-isystem", tensorflow / "include"]
    objects = _compile(commands, system, tools, log)

    # CUDA's runtime comes along, so that the library also loads where there is none,
    # and stays private, as TensorFlow has one of its own.
    linker = compiler
    if nvcc is not None:
        hidden = "-Xlinker=--exclude-libs=libcudart_static.a"
        linker = [nvcc, "-cudart=static", hidden]
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    framework = [f"-L{tensorflow}", "-l:libtensorflow_framework.so.2"]
    if sys.platform == "darwin":
        framework[1] = "-ltensorflow_framework.2"
    _run([*linker, "-shared", *objects, "-o", temporary, *framework], log)
    # Never a library with the record of another.
    _RECORD["path_of"](target).unlink(missing_ok=True)
    os.replace(temporary, target)
    _RECORD["write"](
        target,
        SOURCES,
        tensorflow=version,
        compiler=described,
        flags=[*op["FLAGS"], *host_flags],
        instruction_sets=list(instruction_sets),
        gpu_architectures=architectures,
        nvcc=nvcc_version and nvcc_version.split(",")[0],
    )
    return version


def find_tensorflow():
    """Finds TensorFlow without importing it.

    pip hides from what it builds the environment that it builds it for; it is looked
    through all the same, after what may be imported.

    Returns:
        Its folder and version, or None.

    Example:
    >>> folder, version = find_tensorflow()
    >>> version == tf.__version__
    True
    """
    libraries = [sysconfig.get_path(name) for name in ("platlib", "purelib")]
    spec = importlib.machinery.PathFinder.find_spec(
        "tensorflow", [*sys.path, *libraries]
    )
    for place in spec and spec.submodule_search_locations or ():
        folder = pathlib.Path(place)
        for package in metadata.distributions(path=[str(folder.parent)]):
            # tensorflow-cpu and others bring it too.
            if package.metadata["Name"].startswith(("tensorflow", "tf")) and any(
                file.as_posix() == "tensorflow/__init__.py"
                for file in package.files or ()
            ):
                return folder, package.version
    return None


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


def _compile(commands, system, tools, log):
    """Runs commands that each compile the source that they end in.

    Args:
        commands: lists of arguments, by what to call them.
        system: further arguments, which do not change what comes out.
        tools: what else does.
        log: function of a line.

    Returns:
        The paths of the objects.
    """
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    cache = pathlib.Path(home) / "ratm_tf" / "objects"
    cache.mkdir(parents=True, exist_ok=True)
    headers = hashlib.sha256()
    folder = SOURCES / "custom_ops"
    for path in sorted(folder.rglob("*.h")):
        if path.relative_to(folder).parts[0] != "tests":
            headers.update(path.read_bytes())
    objects = []
    for command in commands.values():
        source = (SOURCES / command[-1]).read_bytes()
        identity = repr([command, tools, headers.hexdigest()]).encode()
        objects.append(cache / f"{hashlib.sha256(identity + source).hexdigest()}.o")

    def compiled(name, path):
        began = time.monotonic()
        if not path.exists():
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            _run([*commands[name], *system, "-o", temporary], log)
            os.replace(temporary, path)
        os.utime(path)
        return name, time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [
            pool.submit(compiled, *each) for each in zip(commands, objects, strict=True)
        ]
        try:
            finished = concurrent.futures.as_completed(running)
            for count, compilation in enumerate(finished, 1):
                name, seconds = compilation.result()
                log(f"[{count}/{len(commands)}] {name} ({seconds:.0f} s)")
        except RuntimeError:
            pool.shutdown(cancel_futures=True)
            raise
    for path in cache.iterdir():
        if path.stat().st_mtime < time.time() - _DAYS_KEPT * 86400:
            path.unlink(missing_ok=True)
    return objects


def _run(command, log):
    # From there, so that neither messages nor objects hold the path of the sources.
    result = subprocess.run(
        [str(part) for part in command],
        cwd=SOURCES,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        log(f"{shlex.join(result.args)}\n{result.stdout}")
        raise RuntimeError(f"the compiler failed with exit code {result.returncode}")
    return result.stdout
