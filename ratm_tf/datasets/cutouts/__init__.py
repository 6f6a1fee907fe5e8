"""Videos of cut-out people and things before photographs."""

FRAME_SIZE = (160, 160)
