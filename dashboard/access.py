"""Who looks at the dashboard, and whether that person may act: login by OIDC, and the policy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAuthError

from registry.permissions import is_program
from registry.policy import EVERYONE, MAX_NAME, PromoterRules

CLAIM_VARIABLE = "FLANMOE_ACCOUNT_CLAIM"
"""`dashboard.account_claim` of the project's params.yaml."""
DEFAULT_CLAIM = "email"
SECRETS = ".streamlit/secrets.toml"
_MESSAGE = "login_message"


@dataclass(frozen=True, kw_only=True)
class Access:
    """Whether the person in front of the browser may act."""

    account: str
    """Account name of the person; empty if nobody is logged in."""
    obstacle: str
    """Why the person may not act, and what to do about it; empty if the person may."""
    can_log_in: bool = False
    """Whether a login is set up, and nobody is logged in."""


def read_access(rules: PromoterRules) -> Access:
    """Return whether the person of this session may act under the rules of a policy.

    Args:
        rules: the policy's section `promoters`.
    """
    user = st.user.to_dict()
    if user.get("is_logged_in") is True:
        return _judge_user(user, rules)
    if not (st.secrets.load_if_toml_exists() and "auth" in st.secrets):
        return Access(
            account="",
            obstacle=f"No login is set up: {SECRETS} of the project has no section [auth]; "
            "docs/operations.md shows one.",
        )
    if find_spec("authlib") is None:
        return Access(
            account="",
            obstacle=f"{SECRETS} sets up a login, but the package Authlib is not installed; run "
            "`pip install 'flanmoe[login]'` and start the dashboard again.",
        )
    return Access(account="", obstacle="Nobody is logged in.", can_log_in=True)


def _judge_user(user: Mapping[str, Any], rules: PromoterRules) -> Access:
    """Judge the claims of a person who is logged in.

    A name that stands for everybody, or for a program, is nobody's: `*` of the policy means
    everybody with an account of this machine, and not everybody whom a provider knows.
    """
    claim = os.environ.get(CLAIM_VARIABLE) or DEFAULT_CLAIM
    account = user.get(claim)
    if not isinstance(account, str) or not account.strip() or len(account) > MAX_NAME:
        return Access(
            account="",
            obstacle=f"The login has no usable claim {claim!r}; set dashboard.account_claim to one "
            "that the provider sends.",
        )
    account = account.strip()
    if claim == DEFAULT_CLAIM and user.get("email_verified") is False:
        obstacle = "The provider has not verified this e-mail address; verify it, and log in again."
    elif is_program(account) or account == EVERYONE:
        obstacle = f"{account!r} is the name of a program, or of everybody; log in as a person."
    elif account not in rules.people:
        obstacle = (
            f"{account!r} may look, but not act: promoters.people of the policy does not list this "
            "name; have it added to policy.yaml."
        )
    else:
        obstacle = ""
    return Access(account=account, obstacle=obstacle)


def show_login(access: Access) -> None:
    """Show the button to log in or out, where there is a login."""
    if _MESSAGE in st.session_state:
        st.error(st.session_state.pop(_MESSAGE))
    if access.can_log_in:
        st.button("Log in", on_click=_log_in)
    elif st.user.to_dict().get("is_logged_in") is True:
        st.button("Log out", on_click=st.logout)


def _log_in() -> None:
    """Go to the provider of the login; say what its section lacks."""
    try:
        st.login()
    except StreamlitAuthError:
        st.session_state[_MESSAGE] = (
            f"{SECRETS}: the section auth is not complete; it needs redirect_uri, cookie_secret, "
            "client_id, client_secret and server_metadata_url."
        )
