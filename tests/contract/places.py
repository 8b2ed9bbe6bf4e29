"""Where things are in the contract, for tests that change it."""

from __future__ import annotations


def operation(d):
    return d["paths"]["/oauth/token"]["get"]


def grant_type(d):
    return operation(d)["parameters"][0]


def scope(d):
    return operation(d)["parameters"][1]


def answer(d, status="200"):
    return operation(d)["responses"][status]


def token(d):
    return d["components"]["schemas"]["AccessTokenResponse"]


def error(d):
    return d["components"]["schemas"]["TokenError"]


def rename(mapping, old, new):
    mapping[new] = mapping.pop(old)
