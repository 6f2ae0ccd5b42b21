from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the indices of shards out of the user's folder, in processes started here too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
