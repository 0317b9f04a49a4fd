"""Tell the registry's story: each version in a line, each promotion in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phase3_mlops_core.registry.promotions import Promotion
from phase3_mlops_core.registry.versions import Version


def history_entry(
    versions: Sequence[Version], aliases: Mapping[str, int], log: Sequence[Promotion], wrong: Sequence[str]
) -> dict[str, Any]:
    """The story as plain data."""
    return {
        "versions": [{"version": version.number, **version.tags} for version in versions],
        "aliases": dict(aliases),
        "promotions": [line.model_dump(mode="json") for line in log],
        "disagreements": list(wrong),
    }


def history_lines(
    versions: Sequence[Version], aliases: Mapping[str, int], log: Sequence[Promotion], wrong: Sequence[str]
) -> str:
    """The story for the terminal."""
    if not versions:
        return "No version yet: phase3 retrain --month 2012-01 makes the first."
    lines = [f"{'version':>7}  {'month':8} {'model version':26} {'gate':8} {'champion':18} aliases"]
    lines += [_version_line(version, aliases) for version in versions]
    lines += ["", *(_promotion_line(line) for line in log)]
    lines += [f"✗ {text}" for text in wrong] or ["✓ the promotion log and the registry's aliases agree"]
    return "\n".join(lines)


def champion_line(month: str, then: Promotion | None) -> str:
    """What was champion in a month."""
    if then is None:
        return f"{month}: there was no champion yet"
    return f"{month}: version {then.to_version} ({then.model_version}), since the sales of {then.as_of}: {then.why}"


def _version_line(version: Version, aliases: Mapping[str, int]) -> str:
    tags = version.tags
    served = f"{tags['promoted_as_of']} to {tags.get('retired_as_of', 'now')}" if "promoted_as_of" in tags else ""
    names = ", ".join(alias for alias, number in aliases.items() if number == version.number)
    gate = tags.get("gate", "")
    gate = tags.get("gate", "")
    return f"{version.number:>7}  {tags['month']:8} {version.model_version:26} {gate:8} {served:18} {names}".rstrip()


def _promotion_line(line: Promotion) -> str:
    before = f"version {line.from_version}" if line.from_version else "nothing"
    return f"{line.as_of}  {line.who} put version {line.to_version} in the place of {before}: {line.why}"
