from __future__ import annotations

import torch

# Tensors in tests are tiny, and tests run in parallel: threads would only wait for each other.
torch.set_num_threads(1)
