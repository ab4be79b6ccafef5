# make run   install, run the pipeline on the built-in sample, register and promote
# make test  checks and tests
# make docs  build the documentation to site/
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install

# The programs of a virtual environment name its folder: a copied or moved project gets a new one.
VENV_FOLDER := $(shell cat $(VENV)/.folder 2>/dev/null)
ifneq ($(VENV_FOLDER),)
ifneq ($(VENV_FOLDER),$(CURDIR))
$(info $(VENV) belongs to $(VENV_FOLDER) and is replaced)
$(shell rm -rf $(VENV))
endif
endif

.PHONY: run test docs install dashboard clean

run: install
	$(VENV)/bin/flanmoe run

test: $(VENV)/.installed-dev
	scripts/test

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

dashboard: install
	$(VENV)/bin/flanmoe dashboard

install: $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("flanmoe needs Python 3.11, $(PYTHON) is %d.%d; try: make PYTHON=/path/to/python3.11" % sys.version_info[:2] if sys.version_info[:2] != (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) --progress-bar on --editable .
	@pwd -P > $(VENV)/.folder
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	@pwd -P > $(VENV)/.folder
	touch $@ $(VENV)/.installed

# Remove data, runs and the cache. Registered versions (.flanmoe) stay.
clean:
	rm -rf data .dvc/cache .dvc/tmp
	find runs -mindepth 1 -maxdepth 1 ! -name scratch -exec rm -rf {} +
