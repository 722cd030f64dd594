import pytest

from sweep.errors import StoreUnreachableError
from sweep.tracking.news import News
from sweep.tracking.outbox import Outbox


def letter(text):
    return [News(run=text, tags={"told": text})]


def put(outbox, letter):
    outbox.release(outbox.prepare(letter))


def waiting(outbox):
    return [(int(path.stem), outbox.read(path)[0].run) for path in outbox.waiting()]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "outbox"


def test_letters_wait_in_the_order_in_which_they_were_put_in(folder):
    outbox = Outbox(folder)
    assert outbox.waiting() == []
    assert not folder.exists()
    for n in range(12):
        put(outbox, letter(str(n)))
    assert waiting(outbox) == [(n + 1, str(n)) for n in range(12)]
    assert waiting(Outbox(folder)) == waiting(outbox)


def test_a_prepared_letter_waits_only_from_its_release_on_and_keeps_its_place(folder):
    outbox = Outbox(folder)
    number = outbox.prepare(letter("prepared"))
    put(outbox, letter("put"))
    assert waiting(outbox) == [(2, "put")]
    outbox.release(number)
    assert waiting(outbox) == [(1, "prepared"), (2, "put")]


def test_after_a_death_what_was_released_is_delivered_and_what_was_prepared_is_not(folder):
    before = Outbox(folder)
    for text in ("a", "b", "c"):
        before.prepare(letter(text))
    again = Outbox(folder, released=2)
    assert waiting(again) == [(1, "a"), (2, "b")]
    assert [path.name for path in sorted(folder.iterdir())] == ["000000001.zip", "000000002.zip"]
    assert again.prepare(letter("d")) == 3


def test_no_number_is_given_twice_as_long_as_a_letter_or_a_checkpoint_names_it(folder):
    first = Outbox(folder)
    put(first, letter("a"))
    put(first, letter("b"))
    first.waiting()[0].unlink()
    assert Outbox(folder).prepare(letter("c")) == 3
    assert Outbox(folder, released=7).prepare(letter("d")) == 8
    for path in folder.iterdir():
        path.unlink()
    assert Outbox(folder, released=7).prepare(letter("e")) == 8
    assert Outbox(folder, recorded={2, 9}).prepare(letter("e")) == 10
    assert Outbox(folder).prepare(letter("f")) == 1


def test_a_prepared_letter_that_somebody_recorded_is_released_after_a_death(folder):
    before = Outbox(folder)
    for text in ("a", "b", "c", "d"):
        before.prepare(letter(text))
    again = Outbox(folder, released=1, recorded={0, 3})
    assert waiting(again) == [(1, "a"), (3, "c")]
    assert again.prepare(letter("e")) == 4


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_half_a_letter_of_a_dead_process_is_dropped(folder, monkeypatch, share):
    outbox = Outbox(folder)
    put(outbox, letter("whole"))
    write = type(folder).write_bytes

    def dies(path, content):
        write(path, content[: int(share * len(content))])
        raise KeyboardInterrupt

    monkeypatch.setattr(type(folder), "write_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        put(outbox, letter("half"))
    assert waiting(Outbox(folder)) == [(1, "whole")]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("place", ["write_bytes", "replace", "mkdir"])
def test_a_disk_that_takes_no_letter_is_said_in_one_line(folder, monkeypatch, place):
    outbox = Outbox(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(folder), place, full)
    with pytest.raises(StoreUnreachableError) as failed:
        put(outbox, letter("a"))
    said = str(failed.value)
    assert said.startswith(
        f"{folder}: what is to be logged cannot be kept here: No space left on device ("
    )
    assert said.endswith("; make room or mend the permissions, then run the same command again")
    assert outbox.waiting() == []


def test_other_files_in_the_folder_are_left_alone(folder):
    folder.mkdir(parents=True)
    for name in ("notes.txt", ".hidden", "letter.zip"):
        (folder / name).write_text("mine")
    outbox = Outbox(folder)
    put(outbox, letter("a"))
    assert waiting(outbox) == [(1, "a")]
    assert {"notes.txt", ".hidden", "letter.zip"} < {path.name for path in folder.iterdir()}
