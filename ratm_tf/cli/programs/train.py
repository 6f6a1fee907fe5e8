r"""Trains a tracker to follow what is in one's own videos.

Starts from a tracker that the package ships, on a folder of videos with boxes beside
them, such as clip.mp4 with clip.csv; docs/own_videos.md walks through it.

ratm-tf train --data=my_videos --model_dir=runs/mine

Writes to MODEL_DIR, before it trains, a picture of sequences with the boxes that it
read (boxes.png): look at it. Then the trained model (model.keras), its IoU on videos
that were held out (metrics.json), a picture of them tracked (film_strip.png) and
TensorBoard logs; started again after an interruption, it goes on from the last epoch.
"""

import pathlib

from absl import flags

from ratm_tf.cli import run, training

flags.adopt_module_key_flags(training)
_DATA = flags.DEFINE_string(
    "data", None, "Folder of the videos and their boxes.", required=True
)
_FIRST_FRAME = flags.DEFINE_integer(
    "first_frame", 0, "Number of the first frame in tables of boxes."
)
_INITIAL_MODEL = flags.DEFINE_string(
    "initial_model",
    "pretrained:people",
    "A tracker of the same parts to start from, a .keras file or pretrained:NAME; "
    "'none' starts from scratch, as another cell, glimpse or window update needs.",
)
_FRAME_SIZE = flags.DEFINE_list(
    "frame_size",
    ["120", "160"],
    "Height and width that frames are resized to, in their proportions.",
)
_GLIMPSE_SIZE = flags.DEFINE_list(
    "glimpse_size", ["28", "28"], "Rows and columns of the glimpse."
)
_CELL = flags.DEFINE_enum(
    "cell", "gru", ["gru", "irnn", "gru+irnn"], "The recurrent cell."
)
_UNITS = flags.DEFINE_integer("units", 128, "Its hidden units.", lower_bound=1)
_WINDOW_UPDATE = flags.DEFINE_enum(
    "window_update",
    "relative",
    ["relative", "residual", "absolute"],
    "How windows move: in units of their size, by so much, or to a place.",
)
_FEATURES = flags.DEFINE_enum(
    "features",
    "even_cnn",
    ["even_cnn", "small_cnn", "pixels"],
    "What the cell gets of a glimpse: a small network's features, in even light or "
    "not, or its pixels.",
)
_COLOR = flags.DEFINE_boolean(
    "color", False, "Track in colour, not in grey; starts from scratch."
)
_LOSSES = flags.DEFINE_list(
    "losses",
    ["corner_boxes:relative"],
    "Why it looks: OUTPUT:LOSS or OUTPUT:LOSS:WEIGHT, one or several. Outputs are "
    "corner_boxes, boxes and glimpses; losses of boxes relative (to their size), "
    "overlap, absolute, squared and localization (of centres), of glimpses pixels.",
)
_FRAMES = flags.DEFINE_integer(
    "frames", 10, "Frames of a sequence in training.", lower_bound=2
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 16, "Sequences of a training step.", lower_bound=1
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", 1e-3, "At first; it falls to 0 over all steps.", lower_bound=0.0
)
_PATIENCE = flags.DEFINE_integer(
    "patience",
    10,
    "Epochs of 100 steps without a better IoU on the videos held out to validate, "
    "before training stops; the best weights are kept.",
    lower_bound=1,
)


def main(_):
    """Shows what it read, trains, evaluates and saves a tracker."""
    chosen = losses()
    by = run.strategy()
    from ratm_tf import recipes, visualize

    initial_model = _INITIAL_MODEL.value
    recipe = recipes.videos(
        _DATA.value,
        training.PRESET.value,
        first_frame=_FIRST_FRAME.value,
        initial_model=None if initial_model == "none" else initial_model,
        frame_size=size(_FRAME_SIZE),
        glimpse_size=size(_GLIMPSE_SIZE),
        recurrent_cell=_CELL.value,
        units=_UNITS.value,
        window_update=_WINDOW_UPDATE.value,
        features=_FEATURES.value,
        channels=3 if _COLOR.value else 1,
        losses={output: name for output, (name, _) in chosen.items()},
        loss_weights={output: weight for output, (_, weight) in chosen.items()},
        train_frames=_FRAMES.value,
        batch_size=_BATCH_SIZE.value,
        learning_rate=_LEARNING_RATE.value,
        patience=_PATIENCE.value,
        **training.changes(),
    )
    model_dir = run.MODEL_DIR.value or "runs/videos"
    if by.extended.should_checkpoint:  # The first of several workers alone writes.
        shown = recipe.shown(seed=run.SEED.value)
        picture = pathlib.Path(model_dir) / "boxes.png"
        visualize.save_image(picture, visualize.true_boxes_strip(shown))
        names = ", ".join(example["video"].decode() for example in shown)
        print(f"Are the boxes where they belong? {picture} shows {names}", flush=True)
    training.train(recipe, model_dir, by=by)


def size(flag):
    """The rows and columns of a flag."""
    if len(flag.value) != 2 or not all(number.isdecimal() for number in flag.value):
        raise ValueError(
            f"Expected --{flag.name}=ROWS,COLUMNS. Received: {','.join(flag.value)}"
        )
    return tuple(map(int, flag.value))


def losses():
    """The loss's name and its weight, by output."""
    known = {
        **dict.fromkeys(
            ("corner_boxes", "boxes"),
            ("relative", "overlap", "absolute", "squared", "localization"),
        ),
        "glimpses": ("pixels",),
    }
    chosen = {}
    for given in _LOSSES.value:
        output, name, weight = [*given.split(":"), "", ""][:3]
        try:
            weight = float(weight or 1)
        except ValueError:
            weight = -1
        if name not in known.get(output, ()) or weight < 0 or given.count(":") > 2:
            raise ValueError(
                "Expected --losses=OUTPUT:LOSS:WEIGHT, such as corner_boxes:relative:1 "
                f"or glimpses:pixels:30. Received: {given}"
            )
        chosen[output] = name, weight
    return chosen
