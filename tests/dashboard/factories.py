"""Training logs, and pages in Streamlit's own test harness."""

import json

from streamlit.testing.v1 import AppTest

HOSTILE = "**b** <script>alert(1)</script> [l](http://evil) :red[x] $a$"
LINE = {
    "step": 20, "steps": 80, "loss": 2.5, "tokens_per_second": 900.0, "mfu": 0.41,
    "max_expert_load": 1.5, "validation_loss": None, "lr": 1e-3, "grad_norm": 1.0, "time": 1.8e9,
}  # fmt: skip


def write_log(folder, lines, *, incomplete=""):
    """Write log.jsonl, with an incomplete last line if one is passed."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({**LINE, **line}) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text + incomplete)


def _show(path):
    """Show the page of a path; this code runs in the harness."""
    from dashboard.navigation import PAGE_BY_PATH

    PAGE_BY_PATH[path].show()


def open_page(path, *, check=True, user=None, secrets=None, **parameters):
    """Return the page of a path after it was shown with the parameters in its URL.

    Args:
        path: of the page.
        check: whether an exception on the page fails.
        user: claims of the login.
        secrets: content of .streamlit/secrets.toml.
        parameters: those of the URL.
    """
    page = AppTest.from_function(_show, default_timeout=120, kwargs={"path": path})
    page.user, page.secrets = user or {}, secrets or {}
    for name, value in parameters.items():
        page.query_params[name] = value
    page.run()
    assert not (check and page.exception), page.exception
    return page


def plain(escaped):
    """Return a text as a person sees it."""
    return escaped.replace("\\", "").strip("\u2068\u2069")


def metrics(page):
    """Return the shown numbers by their labels."""
    return {metric.label: metric.value for metric in page.metric}


def table_with(page, column):
    """Return the first table of a page that has a column."""
    return next(table.value for table in page.dataframe if column in table.value.columns)


def texts(page):
    """Return every text of a page that may be Markdown."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "success", "warning",
             "error", "text")  # fmt: skip
    return "\n".join(element.value for kind in kinds for element in getattr(page, kind))
