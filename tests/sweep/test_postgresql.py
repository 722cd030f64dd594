import pytest
from sqlalchemy import make_url

from sweep.errors import StoreUnreachableError, SweepError
from sweep.postgresql import (
    check_apart,
    connected,
    connection_arguments,
    explained,
    place,
    read_address,
)

SECRET = "tr0ub4dor"  # noqa: S105 - of no account anywhere
EXAMPLE = "postgresql+psycopg://host/database"


@pytest.mark.parametrize("kind", ["postgresql", "postgresql+psycopg"])
def test_both_names_of_postgresql_mean_its_third_driver(kind):
    url = read_address(f"{kind}://me@lab:5433/studies")
    assert url.drivername == "postgresql+psycopg"
    assert place(url) == "postgresql://lab:5433/studies"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("sqlite:///mlruns/optuna.db", "a SQLite file serves one machine; leave --storage out"),
        ("sqlite+aiosqlite:///a.db", "a SQLite file serves one machine; leave --storage out"),
        ("mysql://me@lab/studies", "mysql://... is no study store"),
        ("postgres://me@lab/studies", "postgres://... is no study store"),
        ("postgresql+psycopg2://me@lab/studies", "postgresql+psycopg2://... is no study store"),
        ("lab", "no address is no study store"),
        ("", "no address is no study store"),
        ("postgresql://lab:x/studies", "not an address that can be read"),
        ("postgresql://lab:0/studies", "not an address that can be read"),
        ("postgresql://lab:99999/studies", "not an address that can be read"),
        ("postgresql:lab", "not an address that can be read"),
        ("postgresql://lab/stu\ndies", "not an address that can be read"),
        ("postgresql://me@lab", "postgresql://lab/ names no database"),
        ("postgresql://me@lab:5433/", "postgresql://lab:5433/ names no database"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused_with_one_that_can(address, says):
    with pytest.raises(SweepError) as refusal:
        read_address(address)
    assert says in str(refusal.value)
    assert EXAMPLE in str(refusal.value)
    assert refusal.value.exit_code == 1


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://me:{SECRET}@lab/studies",
        f"postgresql://me:{SECRET}@lab",
        f"postgresql://me:{SECRET}@lab:x/studies",
        f"postgresql://me:p@{SECRET}@lab/studies",
        f"postgresql://me:/{SECRET}@lab/studies",
        f"postgresql://me/a:{SECRET}@lab/studies",
        f"postgresql://lab/studies?user=me&password={SECRET}",
        f"mysql://me:{SECRET}@lab/studies",
        f"{SECRET}@lab",
    ],
)
def test_whatever_is_said_of_an_address_leaves_its_password_out(address):
    try:
        said = place(read_address(address))
    except SweepError as error:
        said = str(error)
    assert SECRET not in said


def test_what_the_address_says_counts_more_than_what_is_usual():
    given = read_address(
        "postgresql://lab/studies?connect_timeout=3&options=-csearch_path%3Doptuna"
    )
    arguments = connection_arguments(given)
    assert "connect_timeout" not in arguments
    assert arguments["options"].startswith("-c timezone=utc ")
    assert arguments["options"].endswith(" -csearch_path=optuna")
    usual = connection_arguments(read_address("postgresql://lab/studies"))
    assert usual["connect_timeout"] == 10
    assert usual["application_name"].startswith("sweep process ")


ONE = "postgresql://me@lab/all"


@pytest.mark.parametrize(
    ("storage", "tracking"),
    [
        (ONE, ONE),
        (ONE, "postgresql+psycopg://other:password@LAB:5432/all"),
        (ONE, "postgresql+psycopg2://lab/all?sslmode=require"),
        ("postgresql://localhost/all", "postgresql://127.0.0.1/all"),
        ("postgresql:///all", "postgresql://localhost/all?options=-csearch_path%3Dpublic"),
        (f"{ONE}?options=-csearch_path%3Da", f"{ONE}?options=-c%20search_path%3Da"),
    ],
)
def test_one_schema_for_both_stores_is_refused(storage, tracking):
    with pytest.raises(SweepError, match="one schema cannot hold both stores; name two databases"):
        check_apart(storage, tracking)


@pytest.mark.parametrize(
    ("storage", "tracking"),
    [
        (ONE, "sqlite:///mlruns/mlflow.db"),
        (ONE, "http://lab:5000"),
        (ONE, "mysql://lab/all"),
        (ONE, "postgresql://lab/other"),
        (ONE, "postgresql://lab:5433/all"),
        (ONE, f"{ONE}?options=-csearch_path%3Dmlflow"),
        (f"{ONE}?options=-csearch_path%3Doptuna", f"{ONE}?options=-csearch_path%3Dmlflow"),
        (ONE, "postgresql://lab:x/all"),
    ],
)
def test_two_homes_for_two_stores_are_not_refused(storage, tracking):
    check_apart(storage, tracking)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('FATAL:  password authentication failed for user "me"', SweepError),
        ('FATAL:  database "studies" does not exist', SweepError),
        ("FATAL:  no pg_hba.conf entry for host", SweepError),
        ("permission denied for schema public", SweepError),
        ("connection refused", StoreUnreachableError),
        ("FATAL:  the database system is starting up", StoreUnreachableError),
        ("FATAL:  sorry, too many clients already", StoreUnreachableError),
        ("", StoreUnreachableError),
    ],
)
def test_what_another_attempt_may_mend_is_told_from_what_it_will_not(said, kind):
    url = make_url(f"postgresql://me:{SECRET}@lab/studies")
    error = explained(OSError(f"{said} {SECRET}\nand more"), url)
    assert type(error) is kind
    assert SECRET not in str(error)
    assert "and more" not in str(error)
    assert str(error).startswith("postgresql://lab/studies: the study store ")


def test_a_connection_has_one_zone_and_outlives_no_dead_machine_for_long(fresh_database):
    with connected(read_address(fresh_database)) as connection:
        found = connection.exec_driver_sql(
            "SELECT current_setting('TimeZone'), current_setting('tcp_keepalives_idle'), "
            "current_setting('idle_in_transaction_session_timeout')"
        ).one()
    assert tuple(found) == ("UTC", "30", "2min")
