"""The network of wagiri in PyTorch, with the same names of tensors, and numbers that both can make without a file.

python unet.py > ../data/unet.json    writes what PyTorch computes for small networks: tests/denoise_torch.rs compares with it.
"""

import json

import numpy as np
import torch
from torch import nn


def pair(inputs, width, norm):
    parts = {}
    for index, channels in [(1, inputs), (2, width)]:
        parts[f"conv{index}"] = nn.Conv2d(channels, width, 3, padding=1, bias=norm == "none")
        if norm == "batch":
            parts[f"norm{index}"] = nn.BatchNorm2d(width)
    return nn.ModuleDict(parts)


def through(parts, x):
    for index in "12":
        x = parts["conv" + index](x)
        if "norm" + index in parts:
            x = parts["norm" + index](x)
        x = torch.relu_(x)
    return x


class UNet(nn.Module):
    """Tensors come in the order of `Architecture::tensors`."""

    def __init__(self, channels, base_width, depth, norm="batch"):
        super().__init__()
        self.depth = depth
        width = [base_width << level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(pair(width[l - 1] if l else channels, width[l], norm) for l in range(depth + 1))
        self.decoder = nn.ModuleDict()
        for l in reversed(range(depth)):
            self.decoder[str(l)] = nn.ModuleDict({"up": nn.ConvTranspose2d(2 * width[l], width[l], 2, stride=2)})
            self.decoder[str(l)].update(pair(2 * width[l], width[l], norm))
        self.output = nn.Conv2d(base_width, 1, 1)

    def forward(self, x):
        left = []
        for level, parts in enumerate(self.encoder):
            x = through(parts, x)
            if level < self.depth:
                left.append(x)
                x = nn.functional.max_pool2d(x, 2)
        for level in reversed(range(self.depth)):
            parts = self.decoder[str(level)]
            x = through(parts, torch.cat([left[level], parts["up"](x)], 1))
        return self.output(x)[:, 0]


def noise(count, seed, start=0):
    """Numbers from -1 to 1, of f32, by integer arithmetic alone."""
    k = np.arange(start, start + count, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    mask = np.uint64(0xFFFFFFFF)
    for _ in range(2):
        k = ((k >> np.uint64(16)) ^ k) * np.uint64(0x45D9F3B) & mask
    k = (k >> np.uint64(16)) ^ k
    return ((k >> np.uint64(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)).astype(np.float32)


def numbered(network):
    """Gives every tensor numbers that depend on its place only."""
    places = [0, 0]
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            running = "running" in name
            values = noise(tensor.numel(), 4 if running else 1, places[running])
            places[running] += tensor.numel()
            if "norm" in name:
                values = np.float32(name.endswith(("weight", "var"))) + np.float32(0.25) * values
            else:
                values = np.float32(0.25) * values
            tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))
    return network


def case(channels, base_width, depth, norm, samples, rows, cols):
    network = numbered(UNet(channels, base_width, depth, norm))
    inputs = torch.from_numpy(noise(samples * channels * rows * cols, 50)).reshape(samples, channels, rows, cols)
    targets = torch.from_numpy(noise(samples * rows * cols, 60)).reshape(samples, rows, cols)
    out = {"network": [channels, base_width, depth], "norm": norm, "images": [samples, rows, cols]}
    network.eval()
    with torch.no_grad():
        out["before"] = network(inputs).flatten()[::STRIDE].tolist()
    network.train()
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    out["losses"], out["norms"] = [], []
    for _ in range(10):
        adam.zero_grad()
        loss = ((network(inputs) - targets) ** 2).mean()
        loss.backward()
        out["losses"].append(loss.item())
        out["norms"].append(float(nn.utils.clip_grad_norm_(network.parameters(), CLIP)))
        adam.step()
        if len(out["losses"]) == 1:
            grads = torch.cat([p.grad.flatten() for p in network.parameters()])
            out["gradient"] = grads[::STRIDE].tolist()
    state = network.state_dict()
    flat = lambda names: torch.cat([state[name].flatten() for name in names]) if names else torch.zeros(0)
    running = [name for name in state if "running" in name]
    trained = [name for name in state if "running" not in name and "num_batches" not in name]
    out["parameters"] = flat(trained)[::STRIDE].tolist()
    out["statistics"] = flat(running)[::STRIDE].tolist()
    network.eval()
    with torch.no_grad():
        out["after"] = network(inputs).flatten()[::STRIDE].tolist()
    short = lambda value: [float(f"{v:.9g}") for v in value] if isinstance(value, list) and value and isinstance(value[0], float) else value
    return {name: short(value) for name, value in out.items()}


STRIDE = 41
CLIP = 0.5

if __name__ == "__main__":
    torch.set_num_threads(1)
    print('{"stride": %d, "clip": %g, "cases": [' % (STRIDE, CLIP))
    cases = [case(3, 8, 2, "batch", 2, 12, 20), case(1, 8, 1, "none", 1, 6, 10)]
    print(",\n".join(json.dumps(case) for case in cases))
    print("]}")
