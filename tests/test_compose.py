"""The compose file is what it should be; no container is started."""

import pathlib
import re

import yaml

from ratm_tf.export.configuration import write_configuration

PATH = pathlib.Path(__file__).parents[1] / "compose.yaml"


def services():
    # Compose puts in the defaults of variables that are not set.
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", PATH.read_text())
    assert "${" not in text
    return yaml.safe_load(text)["services"]


def test_each_server_finds_the_files_of_an_export(tmp_path):
    folder = tmp_path / "serving" / "digits"
    folder.mkdir(parents=True)
    write_configuration(folder)
    assert services().keys() == {"serving", "batched"}
    for name, service in services().items():
        (volume,) = service["volumes"]
        assert volume["type"] == "bind" and volume["read_only"]
        source = tmp_path / volume["source"]
        flags = dict(flag.partition("=")[::2] for flag in service["command"])
        files = {n: f for n, f in flags.items() if n.endswith("_file")}
        for file in files.values():
            inside = pathlib.PurePosixPath(file).relative_to(volume["target"])
            assert (source / inside).is_file()
        batched = {"--enable_batching", "--batching_parameters_file"}
        assert flags.keys() & batched == (batched if name == "batched" else set())
        config = (folder / "models.config").read_text()
        base_path = re.search(r'base_path: "(.*)"', config)[1]
        inside = pathlib.PurePosixPath(base_path).relative_to(volume["target"])
        assert source / inside == folder


def test_ports():
    for service in services().values():
        assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
        assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])
