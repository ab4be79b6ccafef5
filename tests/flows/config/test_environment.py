"""Proxies and PREFECT_API_URL in the environment of a command."""

import urllib.request
from unittest.mock import patch

import httpx
import pytest

from flows.config.environment import prepare_environment
from tests.factories import ROOT, invoke

PROXY = "http://127.0.0.1:9"


@pytest.mark.parametrize("listed", ["", "example.org", "127.0.0.1, example.org"])
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_prepare_environment_exempts_loopback_only(variable, listed):
    environment = {"http_proxy": PROXY, "ALL_PROXY": PROXY, variable: listed}
    assert prepare_environment(environment) == []
    with patch.dict("os.environ", environment, clear=True):
        for host in ("127.0.0.1", "localhost", "::1"):
            assert urllib.request.proxy_bypass(host)
        assert urllib.request.getproxies()["http"] == PROXY
        assert not urllib.request.proxy_bypass("prefect.example.com")
        assert bool(urllib.request.proxy_bypass("example.org")) == ("example" in listed)


def test_prepare_environment_all_hosts_exempt_stay_exempt():
    environment = {"http_proxy": PROXY, "no_proxy": "*"}
    prepare_environment(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"] == "*"


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "127.0.0.1:port", "ftp://h:1", "http://"]
)
@pytest.mark.parametrize("variable", ["all_proxy", "HTTP_PROXY", "https_proxy"])
def test_prepare_environment_proxy_that_is_not_http_is_removed(variable, proxy):
    environment = {variable: proxy}
    (warning,) = prepare_environment(environment)
    assert warning == f"{variable} is not an HTTP proxy, http://HOST:PORT; it is ignored"
    with patch.dict("os.environ", environment, clear=True):
        httpx.Client().close()  # Prefect's client; it fails on such a proxy even for exempt hosts


@pytest.mark.parametrize("proxy", [PROXY, "https://user:password@proxy:3128/", "proxy:3128"])
def test_prepare_environment_http_proxy_stays(proxy):
    environment = {"http_proxy": proxy}
    assert prepare_environment(environment) == []
    assert environment["http_proxy"] == proxy


@pytest.mark.parametrize("url", ["http://h:4200/api/", " http://h:4200/api", "http://h:4200/api"])
def test_prepare_environment_prefect_url_ends_without_a_slash(url):
    environment = {"PREFECT_API_URL": url}
    prepare_environment(environment)
    assert environment["PREFECT_API_URL"] == "http://h:4200/api"


def test_command_with_an_unusable_proxy_warns_in_a_line_and_works():
    result = invoke("check", cwd=ROOT, all_proxy="socks5://127.0.0.1:9")
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "warning: all_proxy is not an HTTP proxy, http://HOST:PORT; it is ignored"
    ]
