"""Videos of one's own, with boxes beside them, as `ratm_tf.datasets.videos` reads them.

The splits are of whole videos. A video is a file that OpenCV opens or a folder of
pictures; `ratm_tf.datasets.annotated.annotations` has the formats of box files.
"""

SPLITS = ("train", "validation", "test")
