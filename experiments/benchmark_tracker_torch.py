"""The models of `benchmark_tracker.py` in PyTorch."""

STD, MIN_SIGMA = 0.01, 0.25


def build(model):
    """A tracker: a module of one step, with `track` for whole sequences."""
    import torch
    from torch import nn

    rows, columns = model.glimpse_size
    span = model.size - 1

    def bank(center, sigma, stride, size):
        mu = center[:, None] + (torch.arange(size) - (size - 1) / 2) * stride[:, None]
        distance = torch.arange(model.size) - mu[..., None]
        return torch.softmax(-0.5 * (distance / sigma[:, None, None]) ** 2, -1)

    class Tracker(nn.Module):
        def __init__(self):
            super().__init__()
            self.w_in = nn.Linear(rows * columns, model.units)
            self.w_rec = nn.Linear(model.units, model.units, bias=False)
            nn.init.eye_(self.w_rec.weight)
            nn.init.normal_(self.w_in.weight, std=STD)
            self.window = nn.Linear(model.units, 6)
            nn.init.normal_(self.window.weight, std=STD)
            self.window.bias.data = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
            if model.classifies:
                block = [nn.MaxPool2d(2), nn.ReLU()]
                self.classifier = nn.Sequential(
                    *[nn.Conv2d(1, 32, 5), *block, nn.Conv2d(32, 32, 5), *block],
                    *[nn.Flatten(), nn.Linear(512, 10), nn.Softmax(-1)],
                ).requires_grad_(False)

        def forward(self, frame, hidden):
            raw = self.window(hidden)
            center = span * (raw[:, :2] + 1) / 2
            sigma = raw[:, 2:4].abs().clamp(min=MIN_SIGMA)
            stride = span / (columns - 1) * raw[:, 4:].abs()
            bank_x = bank(center[:, 0], sigma[:, 0], stride[:, 0], columns)
            bank_y = bank(center[:, 1], sigma[:, 1], stride[:, 1], rows)
            glimpse = bank_y @ frame.float() @ bank_x.transpose(1, 2) / 255.0
            hidden = torch.relu(self.w_in(glimpse.flatten(1)) + self.w_rec(hidden))
            return raw, glimpse, hidden

        def track(self, frames):
            hidden = torch.zeros(frames.shape[0], model.units)
            windows, glimpses = [], []
            for frame in frames.unbind(1):
                raw, glimpse, hidden = self(frame, hidden)
                windows.append(raw)
                glimpses.append(glimpse)
            return torch.stack(windows, 1), torch.stack(glimpses, 1)

    torch.manual_seed(0)
    return Tracker()


def training(model, data, count, compiled):
    """A call of `count` training steps: forward, backward, SGD update."""
    import torch

    tracker = build(model)
    learnt = [weight for weight in tracker.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=1e-3, momentum=0.9)
    frames, boxes, patches, classes = map(torch.from_numpy, data)
    frames, patches = frames[..., 0], patches[..., 0]
    targets = (boxes[..., :2] + boxes[..., 2:]) / (model.size - 1) - 1

    def loss_of(frames):
        windows, glimpses = tracker.track(frames)
        if not model.classifies:
            return ((glimpses - patches) ** 2).mean()
        seen = glimpses.reshape(-1, 1, *model.glimpse_size)
        probabilities = tracker.classifier(seen).reshape(classes.shape)
        return ((windows[..., :2] - targets) ** 2).mean() + (
            (probabilities - classes) ** 2
        ).mean()

    loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def call():
        for _ in range(count):
            optimizer.zero_grad()
            loss_of(frames).backward()
            torch.nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()

    return call


def prediction(model, data, count, compiled):
    """A call that tracks through a batch, `count` times."""
    import torch

    track, frames = build(model).track, data[0][..., 0]
    track = torch.compile(track, dynamic=False) if compiled else track

    @torch.inference_mode()
    def call():
        for _ in range(count):
            _ = [part.numpy() for part in track(torch.from_numpy(frames))]

    return call


def stream(model, data, count, compiled):
    """A call that tracks frame by frame through all sequences, `count` times."""
    import torch

    step, frames = build(model), data[0][..., 0].reshape(-1, 1, model.size, model.size)
    step = torch.compile(step, dynamic=False) if compiled else step

    @torch.inference_mode()
    def call():
        for _ in range(count):
            hidden = torch.zeros(1, model.units)
            for frame in frames:
                window, _, hidden = step(torch.from_numpy(frame), hidden)
                window.numpy()

    return call
