"""Videos whose frames tell their number and their sides."""

import cv2
import numpy as np


def write_video(path, count=6, size=(40, 60), code="MJPG"):
    """Writes frames whose left half is dark; frame `n` is brighter by 20 `n`."""
    height, width = size
    fourcc = cv2.VideoWriter.fourcc(*code)
    writer = cv2.VideoWriter(str(path), fourcc, 10, (width, height))
    assert writer.isOpened()
    for number in range(count):
        frame = np.full([height, width, 3], 100 + 20 * number, np.uint8)
        frame[:, : width // 2] = 20 * number
        writer.write(frame)
    writer.release()
    return path


def write_folder(folder, count=5, size=(40, 60)):
    """Writes videos of six frames with a box that moves, from frame `n` on in video n.

    The last one is smaller.
    """
    for number in range(count):
        small = number == count - 1
        write_video(folder / f"{number}.avi", size=(30, 40) if small else size)
        rows = "".join(f"{frame},{frame},8,6,4\n" for frame in range(number, 6))
        (folder / f"{number}.csv").write_text(f"frame,x,y,w,h\n{rows}")
    return folder
