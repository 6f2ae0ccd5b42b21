from __future__ import annotations

import numpy as np
import pytest

from videozoo.encoders.quantiser import Quantiser


def _dequantise(q: np.ndarray) -> np.ndarray:
    return q.astype(np.float64) * 4 / 255 + 4 / 512 - 2


def test_quantised_values_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(200, 7)) * [1, 5, 0.1, 1, 100, 1e-3, 2] + 3).astype(np.float32)
    quantiser = Quantiser.fit(features)
    wanted = 2 * (features - quantiser.centre) / quantiser.reach
    assert np.abs(wanted).max() <= 2 + 1e-3
    error = np.abs(_dequantise(quantiser(features)) - wanted)
    assert error[wanted < 1.99].max() <= 2 / 255 + 1e-3
    # the data set's code ends 4/512 above 2 and begins 4/512 above -2: the ends lose that much
    assert error.max() <= 4 / 512 + 2 / 255


def test_quantiser_uses_the_whole_range_of_each_dimension() -> None:
    features = np.linspace([0, -5], [1, 50], 100).astype(np.float32)
    q = Quantiser.fit(features)(features)
    assert q.dtype == np.uint8
    np.testing.assert_array_equal(q[0], [0, 0])
    assert (q[-1] >= 254).all()
    assert (np.diff(q.astype(int), axis=0) >= 0).all()


def test_values_outside_the_fitted_range_are_clipped_not_wrapped() -> None:
    quantiser = Quantiser.fit(np.array([[0.0], [1.0]], np.float32))
    np.testing.assert_array_equal(quantiser(np.array([[-9.0], [9.0]], np.float32)), [[0], [255]])


def test_a_constant_dimension_becomes_zero() -> None:
    q = Quantiser.fit(np.full((4, 1), 3.5, np.float32))(np.full((2, 1), 3.5, np.float32))
    np.testing.assert_allclose(_dequantise(q), 0, atol=2 / 255 + 1e-9)


def test_a_quantiser_needs_features() -> None:
    with pytest.raises(ValueError, match="no features"):
        Quantiser.fit(np.zeros((0, 3), np.float32))
