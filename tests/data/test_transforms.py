import torch

from videozoo.data.framing import Box
from videozoo.data.transforms import cut_views, dequantise, normalise_clips, unwhiten


def test_normalising_clips():
    clips = torch.randint(0, 256, (2, 3, 6, 4, 5), dtype=torch.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    floats = normalise_clips(clips, mean, std)
    assert floats.dtype == torch.float32
    for channel in range(6):
        plane = clips[:, :, channel].double() / 255
        expected = (plane - mean[channel % 3]) / std[channel % 3]
        assert torch.allclose(floats[:, :, channel].double(), expected, atol=1e-6)


def test_cutting_views():
    clips = torch.randint(0, 256, (2, 3, 6, 4, 5), dtype=torch.uint8)
    cut = cut_views(clips, [1, 0, 1], [Box(0, 0, False), Box(1, 2, False), Box(1, 2, True)], 3)
    assert cut.dtype == torch.uint8
    assert torch.equal(cut[0], clips[1, :, :, :3, :3])
    assert torch.equal(cut[1], clips[0, :, :, 1:4, 2:5])
    assert torch.equal(cut[2], clips[1, :, :, 1:4, 2:5].flip(-1))


def test_dequantising():
    values = dequantise(torch.tensor([0, 128, 255], dtype=torch.uint8))
    expected = torch.tensor([4 / 512 - 2, 128 * 4 / 255 + 4 / 512 - 2, 4 / 512 + 2])
    assert values.dtype == torch.float32
    assert torch.allclose(values, expected, atol=1e-6)


def test_unwhitening():
    rgb = torch.tensor([[[1.0, 4 / 512], [0.5, -1.0]]])
    eigenvalues = torch.tensor([4.0, 0.25])
    scale = torch.tensor([2.0001, 0.5001])
    assert torch.allclose(unwhiten(rgb, eigenvalues), (rgb - 4 / 512) * scale, atol=1e-7)


def test_mixed_bytes_are_floats_and_are_left_as_they_are():
    values = torch.rand(1, 2, 3, 4, 4) * 255
    before = values.clone()
    for change in (dequantise, lambda v: normalise_clips(v, (0.5,) * 3, (0.2,) * 3)):
        assert not torch.equal(change(values), values)
        assert torch.equal(values, before)
