"""The Markdown description of an MLflow experiment: all studies of one data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.search.markdown import commands, plain, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.data import Prepared

RUNS = (
    ("a study's name", "a search: its space, history, importances and answer"),
    ("trial-000, trial-001, ...", "below it: one training each, with curves and weights"),
    ("confirm", "below it: the best trials again, on seeds that the search never used"),
    ("trial-...-in-full", "below it: a selected trial that was pruned, trained to its end"),
    ("reproduce-trial-...", "a trial trained again from its record and compared with it"),
    ("compare ...", "selected trials of several studies on the same test rows"),
    ("train-...", "one setting of somebody's own"),
)
MOST = 4
"""Studies that the commands name: a description has an end."""
VIEWS = (
    "Each study has a finished dashboard among the saved views of this page (at its upper right): "
    "**NAME: dashboard** shows its trials, the best first, with charts of settings and results, "
    "learning curves and weight images."
)


def experiment_note(data: Prepared, studies: Sequence[str] = ()) -> str:
    """Say what an experiment holds, where to look at it and how to go on.

    Parameters
    ----------
    data
        What its runs train on.
    studies
        Their names: the commands are for the first of them, or for placeholders.

    """
    names = [*studies, *("STUDY", "STUDY_B")[len(studies) :]][:MOST]
    question = (
        f"Which linear classifier is best on **{plain(data.name)}**, with which loss and setting, "
        "by how much, and does it come out the same again?"
    )
    lines = [
        ("sweep list", "the studies of this folder, each with its best trial"),
        (f"sweep ui {names[0]}", "its dashboard"),
        (f"sweep compare {names[0]} {names[1]}", "which is better, on the same test rows"),
        (f"sweep report {' '.join(names)}", "all of it on one page"),
    ]
    parts = [
        question,
        section("Data", table(["", ""], _facts(data))),
        section("Runs", table(["name", "what it is"], RUNS)),
        section("Views", VIEWS),
        section("How to go on", commands(*lines)),
    ]
    return "\n\n".join(parts)


def _facts(data: Prepared) -> list[tuple[str, str]]:
    features = f"{data.validation.rows.shape[1]:,}"
    if data.image_shape is not None:
        channels, height, width = data.image_shape
        features += f": images of {height} x {width} pixels, {channels} to a pixel"
    return [
        ("training rows", f"{len(data.training.labels):,}"),
        ("validation rows", f"{len(data.validation.labels):,}"),
        ("features", features),
        (f"{len(data.class_names)} classes", ", ".join(data.class_names)),
        ("SHA-256 of the rows", data.data_digest),
    ]
