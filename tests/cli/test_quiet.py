import os
import subprocess
import sys

import pytest

NOISY = "import os, sys; os.write(2, b'noise\\n'); level = os.environ['{}']\n"
PROGRAM = """
import os, sys
from ratm_tf.cli.quiet import keep_tensorflow_quiet
keep_tensorflow_quiet()
import tensorflow
os.write(2, b"after\\n")
print(tensorflow.level, len(sys.meta_path), tensorflow.__spec__.name)
"""


@pytest.mark.parametrize("level", [None, "0"])
def test_importing_tensorflow_says_nothing_unless_asked_to(tmp_path, level):
    name = "TF_CPP_MIN_LOG_LEVEL"
    (tmp_path / "tensorflow.py").write_text(NOISY.format(name))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])
    }
    environment.pop(name, None)
    if level is not None:
        environment[name] = level
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ("after\n" if level is None else "noise\nafter\n")
    assert result.stdout.split()[0] == (level or "3")
