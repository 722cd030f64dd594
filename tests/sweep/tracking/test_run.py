from pathlib import Path

import numpy as np
import pytest
from mlflow.artifacts import list_artifacts
from mlflow.entities import ViewType
from PIL import Image

from sweep.errors import StoreUnreachableError
from sweep.figures.style import new_figure
from sweep.tracking.run import FLUSH_SECONDS, Run


@pytest.fixture
def run(tracker):
    return Run.create(tracker, "a run", tags={})


@pytest.fixture
def sent(run, monkeypatch):
    """Return the letters that are handed over."""
    letters = []
    monkeypatch.setattr(run.tracker, "send", lambda letter, *_: letters.append(letter))
    return letters


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time."""
    times = [0.0]
    monkeypatch.setattr("sweep.tracking.run.time.monotonic", lambda: times[-1])
    return times


def test_what_is_logged_waits_and_travels_together(run, sent, workspace, monkeypatch):
    monkeypatch.setattr("sweep.tracking.run.time.time", lambda: 5.0)
    (workspace / "a.txt").write_text("text")
    run.parameters({"epochs": 5})
    for step in range(1, 101):
        run.metrics({"val/loss": 1 / step, "val/accuracy": 1}, step)
    run.tags({"data": "digits"})
    run.note("so")
    run.inputs([{"name": "digits"}])
    run.file(workspace / "a.txt", "folder")
    assert sent == []
    run.flush()
    ((news,),) = sent
    assert len(news.points) == 200
    assert news.points[:2] == [("val/loss", 1.0, 5000, 1), ("val/accuracy", 1.0, 5000, 1)]
    assert (news.run, news.name, news.status) == (run.key, None, None)
    assert news.parameters == {"epochs": "5"}
    assert news.tags == {"sweep.data": "digits", "mlflow.note.content": "so"}
    assert news.inputs == [{"name": "digits"}]
    assert news.files == {"folder/a.txt": b"text"}


def test_what_has_waited_long_enough_is_sent(run, sent, clock):
    run.flush()
    run._flushed = clock[-1]
    run.metrics({"val/loss": 1.0}, 1)
    run.flush_when_due()
    assert sent == []
    clock.append(FLUSH_SECONDS)
    run.flush_when_due()
    run.metrics({"val/loss": 0.5}, 2)
    run.flush_when_due()
    assert [[len(news.points) for news in letter] for letter in sent] == [[1]]


def test_nothing_is_sent_where_nothing_waits(run, sent):
    run.flush()
    clock = run._flushed
    run.flush()
    assert sent == []
    assert run._flushed == clock


def test_whoever_takes_the_news_sends_them_and_they_are_news_no_more(run, sent):
    run.metrics({"val/loss": 1.0}, 1)
    news = run.take_news()
    assert [point.value for point in news.points] == [1.0]
    assert not run.take_news()
    run.flush()
    assert sent == []
    run.metrics({"val/loss": 0.5}, 2)
    assert len(news.points) == 1


def test_a_run_whose_creation_is_on_its_way_takes_news_and_has_no_id_yet(tracker):
    letters = []
    tracker.send_by(lambda letter, _: letters.append(letter))
    run = Run.create(tracker, "a run", tags={})
    run.metrics({"val/loss": 1.0}, 1)
    run.end("FINISHED")
    assert run.known_id is None
    with pytest.raises(AssertionError, match="its creation is on its way"):
        _ = run.id
    for letter in letters:
        tracker.deliver(letter)
    assert tracker.client.get_run(run.id).info.status == "FINISHED"
    assert run.steps("val/loss") == {1}


def test_the_end_sends_what_waits_and_sets_the_status(run):
    run.metrics({"val/loss": 0.5}, 3)
    run.end("KILLED")
    logged = run.tracker.client.get_run(run.id)
    assert logged.info.status == "KILLED"
    assert logged.data.metrics == {"val/loss": 0.5}
    run.resume()
    assert run.tracker.client.get_run(run.id).info.status == "RUNNING"


def test_a_run_whose_block_breaks_is_ended_as_failed(run):
    with run.ended_if_broken():
        run.metrics({"val/loss": 0.5}, 1)
    assert run.tracker.client.get_run(run.id).info.status == "RUNNING"
    with pytest.raises(KeyboardInterrupt), run.ended_if_broken():
        raise KeyboardInterrupt
    assert run.tracker.client.get_run(run.id).info.status == "FAILED"
    assert run.steps("val/loss") == {1}
    assert run.steps("val/accuracy") == set()


def test_a_run_has_its_tags_note_and_parent_from_the_first(tracker):
    parent = Run.create(tracker, "parent", tags={"role": "study"})
    child = Run.create(tracker, "child", tags={"trial": 7}, note="**So**", parent=parent)
    tags = tracker.client.get_run(child.id).data.tags
    assert tags["sweep.trial"] == "7"
    assert tags["mlflow.note.content"] == "**So**"
    assert tags["mlflow.parentRunId"] == parent.id
    assert tags["mlflow.runName"] == "child"
    assert tags["mlflow.user"]


def test_tags_are_put_under_our_own_name_and_the_note_is_replaced(run):
    run.tags({"ending": "complete", "trial": 3})
    run.note("second")
    run.flush()
    tags = run.tracker.client.get_run(run.id).data.tags
    assert (tags["sweep.ending"], tags["sweep.trial"]) == ("complete", "3")
    assert tags["mlflow.note.content"] == "second"


def test_a_run_knows_who_ran_what_though_it_is_looked_up_once(run, tracker):
    again = Run.create(tracker, "another", tags={})
    first, second = (tracker.client.get_run(each.id).data.tags for each in (run, again))
    for name in ("mlflow.user", "mlflow.source.name", "mlflow.source.type"):
        assert first[name] == second[name]


def test_images_figures_and_files_are_kept_as_artifacts(run, workspace):
    (workspace / "a.txt").write_text("text")
    pixels = np.zeros((4, 4, 3), np.uint8)
    for step in (1, 20):
        run.weights_image(Image.fromarray(pixels), step)
    run.figure(pixels, "figures/a.png")
    run.figure(Image.fromarray(pixels), "figures/c.png")
    figure = new_figure(40, 20)
    run.figure(figure, "figures/b.png")
    run.file(workspace / "a.txt", "folder")
    run.flush()
    assert {item.path for item in list_artifacts(run_id=run.id)} == {"figures", "folder", "images"}
    names = [item.path for item in list_artifacts(run_id=run.id, artifact_path="images")]
    assert sorted({name.split("+")[2] for name in names}) == ["1", "20"]
    assert all(name.startswith("images/weights+step+") for name in names)
    folder = Path(run.tracker.client.get_run(run.id).info.artifact_uri.removeprefix("file://"))
    assert (folder / "folder" / "a.txt").read_text() == "text"
    for name, size in (("a.png", (4, 4)), ("b.png", (40, 20)), ("c.png", (4, 4))):
        with Image.open(folder / "figures" / name) as drawn:
            assert drawn.size == size


def test_a_run_that_was_begun_before_finds_its_files_too(run):
    again = Run(run.tracker, run.id)
    again.figure(np.zeros((2, 2, 3), np.uint8), "figures/a.png")
    again.flush()
    assert [item.path for item in list_artifacts(run_id=run.id)] == ["figures"]


def test_files_that_find_no_room_are_said_in_one_line(run, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        "mlflow.store.artifact.local_artifact_repo.LocalArtifactRepository.log_artifacts", no_room
    )
    run.figure(np.zeros((2, 2, 3), np.uint8), "figures/a.png")
    with pytest.raises(StoreUnreachableError, match="No space left on device"):
        run.flush()


def test_a_run_that_is_gone_is_said_in_one_line(run):
    run.tracker.client.delete_run(run.id)
    run.tags({"ending": "complete"})
    with pytest.raises(StoreUnreachableError) as failed:
        run.flush()
    assert "\n" not in str(failed.value)
    assert run.id in str(failed.value)


def test_the_time_spent_in_the_store_is_counted(run):
    before = run.tracker.timings.seconds()["tracking"]
    run.tags({"a": 1})
    run.flush()
    assert run.tracker.timings.seconds()["tracking"] > before


def test_runs_are_found_by_their_tags_the_oldest_first(tracker):
    runs = [Run.create(tracker, str(n), tags={"role": "trial", "trial": n}) for n in range(3)]
    Run.create(tracker, "other", tags={"role": "study"})
    assert [run.info.run_id for run in tracker.runs(role="trial")] == [run.id for run in runs]
    assert [run.info.run_id for run in tracker.runs(role="trial", trial=1)] == [runs[1].id]
    tracker.client.delete_run(runs[0].id)
    assert len(tracker.runs(role="trial")) == 2
    deleted = tracker.client.search_runs([tracker.experiment_id], run_view_type=ViewType.ALL)
    assert len(deleted) == 4


def test_runs_are_found_over_several_pages(tracker, monkeypatch):
    for number in range(5):
        Run.create(tracker, str(number), tags={"role": "trial"})
    search = tracker.client.search_runs
    pages = []

    def search_in_twos(*given, **more):
        pages.append(more["page_token"])
        return search(*given, **more, max_results=2)

    monkeypatch.setattr(tracker.client, "search_runs", search_in_twos)
    assert len({run.info.run_id for run in tracker.runs(role="trial")}) == 5
    assert len(pages) == 3
