"""What the commands show on the terminal is true of the model that is shown."""

from __future__ import annotations

from phase1_docker_api.course.terminal import score_table
from phase1_docker_api.model.house_model import HouseModel


def test_the_table_of_scores_claims_no_interval_level_of_its_own(linear_model: HouseModel) -> None:
    assert "90 %" not in score_table(linear_model.card.scores)
