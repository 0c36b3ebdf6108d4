"""A whole cluster on loopback: PostgreSQL, Redis, llama.cpp servers, desks, nginx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.cluster import programs
from loadtests.cluster.manual import import_manual
from loadtests.cluster.program import READY_SECONDS, Program, stop_all
from tests.e2e.desk_process import wait_until

from kefu.settings import Settings

MODEL = "gemma-3-270m-desk"


@dataclass(frozen=True)
class Cluster:
    """All programs, in the order in which they were started. `folder` is gone when they are."""

    folder: Path
    postgres: Program
    redis: Program
    llamas: Sequence[Program]
    desks: Sequence[Program]
    nginx: Program

    @property
    def programs(self) -> list[Program]:
        return [self.postgres, self.redis, *self.llamas, *self.desks, self.nginx]

    @property
    def database(self) -> str:
        return programs.postgres_url(self.postgres.port)

    @property
    def redis_url(self) -> str:
        return programs.redis_url(self.redis.port)

    @property
    def origin(self) -> str:
        """Where customers come in."""
        return programs.origin(self.nginx.port)

    def is_whole(self) -> bool:
        return all(program.answers() for program in self.programs)

    def wait_whole(self, seconds: float = READY_SECONDS) -> None:
        wait_until(self.is_whole, f"all programs are ready; {self.not_ready()}", seconds)

    def not_ready(self) -> str:
        return "".join(
            f"\n{program.name} is not; the end of its log:\n{program.log_tail}"
            for program in self.programs
            if not program.answers()
        )


@contextmanager
def started_cluster(
    models: Path,
    *,
    desks: int = 3,
    llamas: int = 2,
    upstreams: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """A cluster that knows the sample shop and `manual`. Nothing of it is left, whatever happens.

    `upstreams`: generators beside the `llamas`; `settings`: of every desk.
    """
    running: list[Program] = []

    def start(program: Program) -> Program:
        running.append(program)
        return program.start()

    with TemporaryDirectory(prefix="kefu-cluster-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        try:
            postgres = start(programs.postgres(folder))
            programs.create_database(postgres.port)
            redis = start(programs.redis_server(folder))
            model = _gguf(models)
            writers = [start(programs.llama(folder, n, model)) for n in range(1, llamas + 1)]
            urls = [*(programs.origin(writer.port) for writer in writers), *upstreams]
            # One after the other: the first makes the tables and fills them.
            counter: list[Program] = []
            for number in range(1, desks + 1):
                desk = programs.desk(
                    folder,
                    number,
                    models,
                    database=programs.postgres_url(postgres.port),
                    redis=programs.redis_url(redis.port)
                    if "redis" in Settings.model_fields
                    else "",
                    upstreams=urls,
                    settings=settings,
                )
                counter.append(start(desk))
                if number == 1:
                    import_manual(desk)
            nginx = start(programs.nginx(folder, counter))
            yield Cluster(folder, postgres, redis, writers, counter, nginx)
        finally:
            stop_all(running)


def _gguf(models: Path) -> Path:
    found = sorted((models / MODEL).glob("*.gguf"))
    if not found:
        raise FileNotFoundError(f"No {MODEL} in {models}: run `kefu models pull {MODEL}`.")
    return found[0]
