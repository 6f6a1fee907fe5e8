"""The page at `/`, in a real browser where there is one."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import ratm_tf
from ratm_tf import serving
from ratm_tf.datasets import bouncing_balls_sequences, moving_mnist_sequences
from ratm_tf.datasets.sources.mnist import SAMPLE_PATH
from ratm_tf.serving.server import rest_app

CLIPS = rest_app._PAGE / "clips"
BOX = [12.5, 5.5, 92.5, 85.5]  # Where the tracker of two digits starts on this clip.


def frames_of(clip):
    """A packaged clip, frames side by side, as a video."""
    sheet = cv2.imread(str(CLIPS / f"{clip}.png"), cv2.IMREAD_GRAYSCALE)
    return np.stack(np.split(sheet, 60, axis=1))[..., np.newaxis]


def test_clips_are_sequences_of_the_data_sets():
    digits = {"num_frames": 60, "mnist_path": SAMPLE_PATH}
    for clip, sequences in (
        ("digit", moving_mnist_sequences("test", **digits)),
        ("digits", moving_mnist_sequences("test", num_digits=2, **digits)),
        ("ball", bouncing_balls_sequences("test", num_frames=60)),
    ):
        expected = next(iter(sequences))["frames"]
        np.testing.assert_array_equal(frames_of(clip), expected)


@pytest.fixture(scope="module")
def browser():
    driver = shutil.which("chromedriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if driver is None or chromium is None:
        pytest.skip("There is no Chromium with its driver.")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(driver)
    with webdriver.Chrome(options, service) as browser:
        browser.set_window_size(1000, 800)
        yield browser


def served(name, folder):
    ratm_tf.export_saved_model(ratm_tf.load_pretrained(name), folder / name)
    return serving.Server(serving.ServedModel(folder / name), grpc_port=0, rest_port=0)


def wait(browser, seconds=120):
    return WebDriverWait(browser, seconds)


def say(browser):
    return browser.find_element(By.ID, "status").text


def opened(browser, server, clip):
    browser.get(f"http://{server.rest_address}/")
    wait(browser).until(lambda b: "target" in b.find_element(By.ID, "about").text)
    browser.find_element(By.CSS_SELECTOR, f"[data-clip={clip}]").click()
    wait(browser).until(lambda b: "target" in say(b) or "track" in say(b).lower())
    wait(browser).until(lambda b: b.find_element(By.ID, "frame").size["height"] > 0)


def tracked(browser):
    """The first box, if there is one, and the boxes that the page has shown."""
    browser.find_element(By.ID, "track").click()
    wait(browser).until(lambda b: "Tracked 60 frames" in say(b))
    body = browser.find_element(By.TAG_NAME, "body")
    told = json.loads(body.get_attribute("data-tracked"))
    return {name: np.float32(values) for name, values in told.items()}


def drag(browser, canvas, start, end):
    """Draws from one place on the canvas to another, in pixels from its middle."""
    actions = ActionChains(browser)
    actions.move_to_element_with_offset(canvas, *start).click_and_hold()
    actions.move_to_element_with_offset(canvas, *end).release().perform()


def test_tracks_a_clip_from_a_drawn_box(browser, tmp_path):
    tracker = ratm_tf.load_pretrained("moving_mnist_two_digits")
    with served("moving_mnist_two_digits", tmp_path) as server:
        opened(browser, server, "digits")
        assert not browser.find_element(By.ID, "track").is_enabled()
        canvas = browser.find_element(By.ID, "frame")
        scale = canvas.size["width"] / 100
        corners = np.round((np.reshape(BOX, [2, 2]) + 0.5 - 50) * scale)
        drag(browser, canvas, *corners.astype(int).tolist())
        wait(browser).until(lambda b: b.find_element(By.ID, "track").is_enabled())
        told = tracked(browser)
        curl = browser.find_element(By.ID, "curl").get_attribute("textContent")
        assert curl.startswith('curl -d \'{"signature_name":"step_encoded"')
        assert server.rest_address in curl
        brightest = browser.execute_script(
            "const glimpse = document.getElementById('glimpse').getContext('2d');"
            "const { data } = glimpse.getImageData(0, 0, 140, 140);"
            "return Math.max(...data.filter((_, i) => i % 4 < 3));"
        )
        assert brightest > 50
        if picture := os.environ.get("RATM_TF_PAGE_PICTURE"):
            browser.save_screenshot(picture)
        score = browser.find_element(By.ID, "score").text
        assert 0 <= float(score) <= 1
    np.testing.assert_allclose(told["initial_box"], [BOX], atol=0.5)
    inputs = {"frames": frames_of("digits")[None], "initial_box": told["initial_box"]}
    expected = tracker.predict(inputs, verbose=0)["boxes"][0]
    assert np.ptp(expected[:, 0]) > 10
    np.testing.assert_allclose(told["boxes"], expected, atol=0.02)


def test_tracks_what_a_tracker_finds_itself(browser, tmp_path):
    tracker = ratm_tf.load_pretrained("bouncing_balls")
    with served("bouncing_balls", tmp_path) as server:
        opened(browser, server, "ball")
        boxes = tracked(browser)["boxes"]
    frames = frames_of("ball")[np.newaxis]
    expected = tracker.predict({"frames": frames}, verbose=0)["boxes"][0]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)


def test_keys_draw_a_box_on_a_small_screen(browser, tmp_path):
    browser.set_window_size(400, 800)
    try:
        with served("moving_mnist_two_digits", tmp_path) as server:
            opened(browser, server, "digits")
            width = "return document.documentElement.scrollWidth - window.innerWidth"
            assert browser.execute_script(width) <= 0
            browser.find_element(By.ID, "frame").send_keys(Keys.ARROW_RIGHT)
            assert browser.find_element(By.ID, "track").is_enabled()
    finally:
        browser.set_window_size(1000, 800)


def test_names_are_text(tmp_path):
    name = "<b>&\"'"
    module = serving.ServedModel(tmp_path, name=name)
    with serving.Server(module, grpc_port=0, rest_port=0) as server:
        page = requests.get(f"http://{server.rest_address}/", timeout=30)
    assert page.headers["content-type"].startswith("text/html")
    assert "<b>" not in page.text and "&lt;b&gt;&amp;&quot;&#x27;" in page.text
