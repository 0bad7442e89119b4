"""Every rule of the guide has a case, every case has a rule, and the guide's tables match the data."""

import re

from conformance.rules import GUIDE, problems, renewed, sections


def test_each_rule_has_a_case_and_each_case_a_rule() -> None:
    assert problems() == []


def test_the_tables_in_the_guide_are_those_of_the_data() -> None:
    guide = GUIDE.read_text("utf-8")
    assert renewed(guide) == guide, "python conformance/rules.py renews them"
    assert re.findall(r"<!-- rules (\d+) -->", guide) == list(sections())
