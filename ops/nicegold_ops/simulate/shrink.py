"""The least that still goes wrong in the same way, of a plan that did."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from nicegold_ops.simulate.campaign import Finding, lived
from nicegold_ops.simulate.plan import Plan


def shrunk(finding: Finding) -> Finding:
    """*finding* with fewer troubles and bars, as long as the same invariant breaks."""
    least = finding
    while (smaller := next(_broken(least), None)) is not None:
        least = smaller
    return least


def _broken(finding: Finding) -> Iterator[Finding]:
    """Those plans a step smaller that break the same invariant."""
    for plan in _smaller(finding.plan):
        _, found = lived(plan)
        if found is not None and found.invariant == finding.invariant:
            yield found


def _smaller(plan: Plan) -> Iterator[Plan]:
    troubles = plan.troubles
    for bars in (plan.bars // 2, plan.bars - 4, plan.bars - 1):
        if 1 <= bars < plan.bars:
            yield replace(plan, bars=bars)
    if plan.fool:
        yield replace(plan, fool=False)
    for index in range(len(troubles)):
        yield replace(plan, troubles=troubles[:index] + troubles[index + 1 :])
