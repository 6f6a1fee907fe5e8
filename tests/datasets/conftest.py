import cv2
import numpy as np
import pytest


def draw(rng, shade, size=(160, 240)):
    """A street with two drawn people, and its mask."""
    rows, columns = size
    image = rng.integers(90, 130, size).astype(np.uint8)
    mask = np.zeros(size, np.uint8)
    for person, x in ((1, 60), (2, 160)):
        figure = np.zeros(size, np.uint8)
        cv2.circle(figure, (x, 30), 9, 1, -1)
        cv2.rectangle(figure, (x - 14, 40), (x + 14, 90), 1, -1)
        cv2.line(figure, (x - 6, 90), (x - 14, 140), 1, 9)
        cv2.line(figure, (x + 6, 90), (x + 14, 140), 1, 9)
        image[figure > 0] = shade + 10 * person
        mask[figure > 0] = person
    return image, mask


def write(folder, official):
    """Writes drawn people: ten images of each city, each of its own shade."""
    images, masks = ("PNGImages", "PedMasks") if official else ("images", "masks")
    suffix, kind = ("_mask", "png") if official else ("", "jpg")
    (folder / images).mkdir()
    (folder / masks).mkdir()
    (folder / images / "._FudanPed00001.png").touch()
    rng = np.random.default_rng(0)
    for i in range(10):
        for c, city in enumerate(("Fudan", "Penn")):
            image, mask = draw(rng, shade=10 * i + 100 * c)
            name = f"{city}Ped{i + 1:05d}"
            cv2.imwrite(str(folder / images / f"{name}.{kind}"), image)
            cv2.imwrite(str(folder / masks / f"{name}{suffix}.png"), mask)
    return folder


@pytest.fixture(scope="session")
def pedestrian():
    """A street and its mask."""
    return draw(np.random.default_rng(0), shade=30)


@pytest.fixture(scope="session")
def pennfudan(tmp_path_factory):
    return write(tmp_path_factory.mktemp("official"), official=True)


@pytest.fixture(scope="session")
def pennfudan_jpeg(tmp_path_factory):
    return write(tmp_path_factory.mktemp("jpeg"), official=False)
