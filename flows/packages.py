"""The project's own packages."""

PACKAGES = ("data_pipelines", "models", "registry", "dashboard", "flows")
