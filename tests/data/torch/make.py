"""Writes a network of random weights as PyTorch saves it, and what it makes of a picture: the U-Net of lightning-bolts 0.7.0
(PyPI), with running statistics that are not those of the beginning. Needs torch, safetensors and that package's file unet.py:

    python make.py FOLDER_WITH_unet.py
"""
import sys

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, sys.argv[1])
from unet import UNet

torch.manual_seed(1)
net = UNet(num_classes=1, input_channels=3, num_layers=3, features_start=8)
net.train()
for _ in range(20):
    net(2 * torch.randn(2, 3, 32, 32) + 0.5)
net.eval()
save_file({name: t.contiguous() for name, t in net.state_dict().items()}, "bolts.safetensors")
# sin of a number for each pixel, as the test computes it.
picture = np.sin(np.arange(3 * 24 * 32, dtype=np.float64) * 0.37).astype(np.float32).reshape(1, 3, 24, 32)
with torch.no_grad():
    net(torch.from_numpy(picture)).numpy().astype("<f4").tofile("bolts.f32")
