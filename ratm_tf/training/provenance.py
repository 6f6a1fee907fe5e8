"""What a run was made with."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

_PACKAGES = ("ratm-tf", "tensorflow", "keras", "numpy")


def provenance():
    """Names the versions of what computes, and the state of the checkout.

    Returns:
        Dict of JSON values: `versions` of Python and of the packages by name; `git`,
        the commit that this package is checked out at and whether files differ from
        it, or None where there is no checkout.

    Example:
    >>> sorted(provenance()["versions"])
    ['keras', 'numpy', 'python', 'ratm-tf', 'tensorflow']
    """
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {"versions": versions, "git": _git()}


def _git():
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _run(root, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_run(root, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _run(root, *command):
    result = subprocess.run(
        ["git", "-C", root, *command], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()
