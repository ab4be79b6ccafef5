"""`python -m flows.runtime.prefect_server_process PORT`: a Prefect server on loopback.

The server ends when the process that started it ends.
"""

from __future__ import annotations

import sys

from flows.runtime.parent_watch import end_with_parent


def main() -> None:
    """Serve on the port in the first argument."""
    end_with_parent()
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(final=True, webserver_only=False)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
