"""KTH human actions as a TFDS data set."""

import numpy as np
import tensorflow_datasets as tfds

from ratm_tf.datasets.kth import FRAME_SIZE
from ratm_tf.datasets.kth.annotations import ACTIONS, read_annotations
from ratm_tf.datasets.kth.videos import BOX_FILE, read_sequences


class Builder(tfds.core.GeneratorBasedBuilder):
    """The annotated sequences of all six actions, a split for each of 25 subjects.

    Example:
    >>> import tensorflow_datasets as tfds
    >>> import ratm_tf.datasets.builders
    >>> tfds.builder("ratm_kth").info.features["boxes"].shape
    (None, 4)
    """

    name = "ratm_kth"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put into manual_dir
    - the videos personPP_ACTION_dS_uncomp.avi, unpacked from the six archives of
      https://www.csc.kth.se/cvap/actions/ (boxing.zip, ..., walking.zip);
    - the box file KTHBoundingBoxInfo.txt of Z. Jiang, Z. Lin and L. Davis, which came
      with their "Recognizing Human Actions by Learning and Matching Shape-Motion
      Prototype Trees" (PAMI 2012).
    """

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Video(shape=(None, *FRAME_SIZE, 1)),
                    "boxes": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
                    "initial_box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                    "subject": tfds.features.Scalar(np.int64),
                    "action": tfds.features.ClassLabel(names=ACTIONS),
                    "scenario": tfds.features.Scalar(np.int64),
                    "sequence": tfds.features.Scalar(np.int64),
                }
            ),
            homepage="https://www.csc.kth.se/cvap/actions/",
        )

    def _split_generators(self, dl_manager):
        data_dir = dl_manager.manual_dir
        subjects = {row.subject for row in read_annotations(data_dir / BOX_FILE)}
        return {
            f"subject{subject:02d}": self._generate_examples(data_dir, subject)
            for subject in sorted(subjects)
        }

    def _generate_examples(self, data_dir, subject):
        for row, frames in read_sequences(data_dir, [subject], ACTIONS):
            yield (
                f"{row.video}_{row.sequence}",
                {
                    "frames": frames,
                    "boxes": row.boxes,
                    "initial_box": row.boxes[0],
                    "subject": row.subject,
                    "action": row.action,
                    "scenario": row.scenario,
                    "sequence": row.sequence,
                },
            )
