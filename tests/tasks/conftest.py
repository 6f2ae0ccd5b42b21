from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps the indices of shards out of the user's folder, in processes started here too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
