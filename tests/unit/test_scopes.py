from __future__ import annotations

import pytest

from domo_oauth import ConfigurationError, Scope
from domo_oauth.contract import contract
from domo_oauth.scopes import scope_names, scope_parameter


@pytest.mark.parametrize(
    "written",
    [
        "data user",
        "user data",
        "user,data",
        "account, dashboard, data".replace("account, dashboard", "user"),
        " data  user data ",
        ["user", "data"],
        ["user data"],
        (name for name in ("data", "user")),
        {Scope.USER, Scope.DATA},
        [Scope.DATA, "user"],
    ],
)
def test_every_way_to_write_the_same_scopes_sends_the_same(written):
    assert scope_parameter(scope_names(written)) == "data user"


def test_the_order_is_fixed():
    assert scope_parameter(scope_names(set(Scope))) == "account audit buzz dashboard data user workflow"


def test_none_leaves_the_parameter_out():
    assert scope_names(None) is None
    assert scope_parameter(None) is None


@pytest.mark.parametrize("empty", ["", "  ", ",", [], [""], set()])
def test_no_scope_is_not_taken_for_all_scopes(empty):
    with pytest.raises(ConfigurationError, match="pass None"):
        scope_names(empty)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("dat", "Did you mean 'data'"),
        ("Users", "Did you mean 'user'"),
        ("DATA", "Did you mean 'data'"),
        ("manage", r"Scope.custom\('manage'\)"),
        (["data", 7], "must be a str such as 'data', not int"),
        ([b"data"], "not bytes"),
    ],
)
def test_an_unknown_scope_is_refused_with_the_nearest_name(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        scope_names(wrong)


def test_a_far_name_suggests_nothing():
    with pytest.raises(ConfigurationError) as caught:
        scope_names("zzzzzz")
    assert "Did you mean" not in str(caught.value)


def test_a_custom_scope_is_sent_as_it_stands():
    assert scope_parameter(scope_names([Scope.custom("Manage.all"), "user"])) == "Manage.all user"
    assert scope_names(Scope.custom("app:read")) == ("app:read",)


@pytest.mark.parametrize("name", ["", "two words", 'quo"te', "back\\slash", "a,b", "línea", "new\nline"])
def test_a_custom_scope_must_be_one_that_can_be_sent(name):
    with pytest.raises(ConfigurationError, match="cannot be a scope"):
        Scope.custom(name)


def test_the_names_are_those_of_the_contract():
    flow = contract()["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert [str(scope) for scope in Scope] == list(flow["scopes"])


def test_half_of_a_name_is_near_enough():
    with pytest.raises(ConfigurationError, match="Did you mean 'data'"):
        scope_names("datasource")
