import numpy as np
import pytest

from ratm_tf import one_pass

TRUE = np.array([[9.5, 19.5, 29.5, 39.5]] * 4)


def test_raw_results_are_those_of_the_toolkits(tmp_path):
    path = tmp_path / "results" / "Couple.txt"
    boxes = np.array([[9.5, 19.5, 13.5, 21.5], [0, 1, 2.25, 5], [np.nan] * 4])
    one_pass.write_results(path, boxes)
    rows = np.loadtxt(path, delimiter=",")
    np.testing.assert_array_equal(rows[0], [11, 21, 4, 2])
    np.testing.assert_array_equal(one_pass.read_results(path), boxes)
    path.write_text("11 21\t4,2\n")
    np.testing.assert_array_equal(one_pass.read_results(path), boxes[:1])
    for wrong in ("1,2,3\n", "1,2,3,4\n1,2,3\n", "x,2,3,4\n", ""):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="Couple.txt.*x,y,w,h"):
            one_pass.read_results(path)


def test_measures_what_got10k_measures():
    toolkit = pytest.importorskip("got10k.utils.metrics")
    random = np.random.default_rng(0)
    true = np.concatenate([random.uniform(0, 99, [50, 2]), [[30, 40]] * 50], axis=1)
    true = np.concatenate([true[:, :2], true[:, :2] + true[:, 2:]], axis=1)
    found = true + random.normal(0, 12, true.shape)
    found[20:30] += 500
    measured = one_pass.measure(true, found)

    rects, answers = (
        np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        for boxes in (true, found)
    )
    answers[0] = rects[0]
    overlaps = toolkit.rect_iou(answers, rects)
    errors = toolkit.center_error(answers, rects)
    assert measured["iou"] == pytest.approx(overlaps.mean())
    for threshold, part in zip(np.linspace(0, 1, 21), measured["success"], strict=True):
        assert part == pytest.approx(np.mean(overlaps > threshold))
    for distance, part in enumerate(measured["precision"]):
        assert part == pytest.approx(np.mean(errors <= distance))


def test_frames_without_a_box_do_not_count():
    true, found = TRUE.copy(), TRUE.copy()
    true[2] = np.nan
    found[2] += 1000
    found[3] = np.nan  # a miss
    measured = one_pass.measure(true, found)
    assert measured["iou"] == pytest.approx(2 / 3)
    assert measured["precision"][50] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="`true_boxes` with a box"):
        one_pass.measure(true * np.nan, found)
    with pytest.raises(ValueError, match=r"one shape \[T, 4\].*\(4, 4\) and \(3, 4\)"):
        one_pass.measure(TRUE, TRUE[:3])


def test_a_target_is_lost_after_ten_frames_without_overlap():
    true = np.repeat(TRUE[:1], 40, axis=0)

    def kept(away):
        found = true.copy()
        found[away] += 100
        measured = one_pass.measure(true, found)
        return measured["kept"], measured["lost"]

    assert kept(slice(0)) == (40, False)
    assert kept(slice(5, 14)) == (40, False)
    assert kept(slice(5, 15)) == (5, True)
    assert kept([*range(3, 9), *range(20, 40)]) == (20, True)
    assert kept(slice(35, 40)) == (40, False)


def test_averages_are_over_sequences():
    good = one_pass.measure(TRUE, TRUE)
    bad = one_pass.measure(TRUE[:2], [TRUE[0], TRUE[0] + 100])
    assert one_pass.summary([good]) == {
        "iou": 1.0,
        "success_auc": 0.952,  # nothing is above the last threshold
        "precision_20": 1.0,
        "kept": 4.0,
        "lost": 0.0,
    }
    assert one_pass.summary([good, bad])["iou"] == 0.75
    np.testing.assert_array_equal(
        one_pass.mean([good, bad])["success"], (good["success"] + bad["success"]) / 2
    )
