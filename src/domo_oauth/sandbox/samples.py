"""The datasets that a sandbox starts with."""

from __future__ import annotations

from typing import Any

__all__ = ["SAMPLES"]


def _sample(number: int, name: str, columns: dict[str, str], rows: list[str]) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "name": f"Sample: {name}",
        "description": "Sample data of the sandbox",
        "schema": {"columns": [{"type": kind, "name": column} for column, kind in columns.items()]},
        "owner": {"id": 123456789, "name": "Sample Owner"},
        "createdAt": "2024-01-02T03:04:05Z",
        "updatedAt": "2024-06-07T08:09:10Z",
        "pdpEnabled": False,
        "data": "".join(f"{row}\n" for row in rows),
    }


SAMPLES = [
    _sample(1, "bicycle rentals", {"Day": "DATE", "Rented": "LONG"}, ["2024-06-01,204", "2024-06-02,187"]),
    _sample(
        2, "ice cream", {"Flavour": "STRING", "Sold": "LONG"}, ["vanilla,311", '"chocolate, dark",290', "lemon,94"]
    ),
    _sample(3, "lighthouses", {"Name": "STRING", "Metres": "DOUBLE"}, ["Lindau,33.0", "Île Vierge,82.5"]),
]
