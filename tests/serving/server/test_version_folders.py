"""Which folders are versions."""

from ratm_tf.serving.server.version_folders import MOST_VERSION, version_folders


def test_names(tmp_path):
    good = ["0", "1", "007", "12", str(MOST_VERSION)]
    bad = [
        *("-1", "1.0", "1e3", " 2", "2 ", "v3", "", "models.config", ".export-1"),
        *("²", "٣", str(MOST_VERSION + 1), "9" * 20, "1" * 200, "0x10", "1_0"),
    ]
    for name in filter(None, good + bad):
        (tmp_path / name).mkdir()
    (tmp_path / "5").write_text("a file")
    (tmp_path / "6").symlink_to(tmp_path / "nowhere")
    (tmp_path / "8").symlink_to(tmp_path / "12")
    assert version_folders(tmp_path) == {
        number: tmp_path / name
        for number, name in ((0, "0"), (1, "1"), (7, "007"), (8, "8"), (12, "12"))
    } | {MOST_VERSION: tmp_path / str(MOST_VERSION)}


def test_no_folder(tmp_path):
    assert version_folders(tmp_path / "nowhere") == {}
