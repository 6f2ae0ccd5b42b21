PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo docs test test-all test-slow test-gpu fuzz lint format clean

# Made anew when the dependencies change.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python examples/demo/run.py --folder demo

# The pages of both languages and the reference as a site; a link that leads nowhere is an error.
docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . docs/_build
	@echo "written to docs/_build/index.html"

test: lint
	$(BIN)/python -m pytest -n auto -m "not slow"

# The slow ones too: trainings in several processes, killed ones, the notebook and the like.
test-all: test test-slow

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto -m slow

# Needs a GPU and a PyTorch with CUDA, which is what pip installs on Linux. GPU_PYTHON=python3 runs
# on a Python that has all of it already; nothing is installed then.
ifdef GPU_PYTHON
test-gpu:
	PYTHONPATH="src:$$PYTHONPATH" $(GPU_PYTHON) -m pytest tests/gpu -rs
else
test-gpu: $(VENV)/.installed
	$(BIN)/python -m pytest tests/gpu -rs
endif

# A minute for each parser of files of strangers, one after the other; FUZZ_SECONDS=3600 for longer.
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	cd tests/fuzz && for target in $$(ls corpus); do \
		../../$(BIN)/python fuzz.py $$target --seconds $(FUZZ_SECONDS) || exit 1; done

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache demo
