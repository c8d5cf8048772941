"""The objects that every handler may need, made once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from api.auth.access_tokens import Tokens
from api.auth.credential_cache import Principals
from api.auth.passwords import Passwords
from api.auth.session_cookie import Cookies
from api.documents.renderer import Renderer
from api.http.access_log import AccessLog
from api.http.cursors import Cursors
from api.http.metrics import Metrics
from api.limits.connection_turns import ConnectionTurns
from api.limits.gate import Admission
from api.limits.geometry_checks import Shapes
from api.limits.last_used import Usage
from api.limits.login_throttle import Throttle
from api.limits.turns import Turns
from api.photos.copier import PhotoCopier
from api.settings import ApiSettings
from api.trials.zone_trials import ZoneTrials
from archive.reading import Archive
from db.core.connect import Limits, Pool, connect
from db.core.secrets import ENCRYPTION_KEYS, KEPT_ANSWERS, SecretBox
from db.core.standby import Standby
from db.core.wakeups import Channel, WakeUps

_MOST_MOVEMENTS = 1_000  # of a part that wait, and parts that they wait for, in a process
_EXPORTS_OF_EACH = 2  # of an organization
_REPORTS_OF_EACH = 8  # of an organization that are under way or wait
_FILES_OF_EACH, _FILES = 2, 4  # bodies that are files: of an organization, and organizations


@dataclass(frozen=True, slots=True)
class ApiState:
    """Immutable; lives as long as the application."""

    settings: ApiSettings
    connections: Pool
    wake_ups: WakeUps
    tokens: Tokens
    principals: Principals
    usage: Usage
    throttle: Throttle
    cookies: Cookies
    admission: Admission
    passwords: Passwords
    cursors: Cursors
    secrets: SecretBox
    kept_answers: SecretBox
    encryption_keys: SecretBox
    shapes: Shapes
    zone_trials: ZoneTrials
    metrics: Metrics
    access_log: AccessLog
    renderer: Renderer
    photos: PhotoCopier
    stock_turns: Turns
    file_turns: Turns
    export_turns: Turns
    archive: Archive
    report_turns: Turns
    standby: Standby | None

    @classmethod
    def build(
        cls, settings: ApiSettings, connections: Pool, clock: Callable[[], float]
    ) -> "ApiState":
        """Return the state of a new process. clock: by which what is remembered is fresh."""
        secret_keys = settings.secret_keys
        url = settings.database_url.get_secret_value()
        wake_ups = WakeUps(partial(connect, url, "opsc-api-wakeups"))
        connections.on_committed = wake_ups.send
        turns = ConnectionTurns(connections.max_size)
        connections.turn = turns.turn
        standby = _standby(settings, connections, clock)
        principals = Principals(connections, clock)
        wake_ups.on(Channel.RIGHTS, principals.forget)  # before open connections are looked at
        metrics = Metrics(lambda: turns.numbers(connections.get_stats()), wake_ups, standby)
        return cls(
            settings=settings,
            connections=connections,
            wake_ups=wake_ups,
            tokens=Tokens(secret_keys, settings.access_token_lifetime_s),
            principals=principals,
            usage=Usage(connections),
            throttle=Throttle(secret_keys, connections),
            cookies=Cookies(secret_keys, is_secure=settings.public_url.startswith("https:")),
            admission=Admission(settings, connections, clock),
            passwords=Passwords(),
            cursors=Cursors(secret_keys),
            secrets=SecretBox(secret_keys),
            kept_answers=SecretBox(secret_keys, KEPT_ANSWERS),
            encryption_keys=SecretBox(secret_keys, ENCRYPTION_KEYS),
            shapes=Shapes(),
            zone_trials=ZoneTrials(),
            metrics=metrics,
            access_log=AccessLog(metrics),
            renderer=Renderer(),
            photos=PhotoCopier(),
            stock_turns=Turns(at_once=2, most_of_each=_MOST_MOVEMENTS, most=_MOST_MOVEMENTS),
            file_turns=Turns(most_of_each=_FILES_OF_EACH, most=_FILES),
            export_turns=Turns(at_once=_EXPORTS_OF_EACH, most_of_each=_EXPORTS_OF_EACH),
            archive=Archive.at(settings.archive_store),
            report_turns=Turns(most_of_each=_REPORTS_OF_EACH),
            standby=standby,
        )

    async def close(self) -> None:
        """End the threads and processes."""
        self.passwords.close()
        await self.renderer.close()
        await self.shapes.close()
        await self.zone_trials.close()
        await self.photos.close()
        self.archive.close()
        self.access_log.end_minute()


def _standby(
    settings: ApiSettings, connections: Pool, clock: Callable[[], float]
) -> Standby | None:
    """Return who reads history; None: the primary does."""
    if settings.database_read_url is None:
        return None
    addresses = settings.database_read_url.get_secret_value()
    url = settings.database_url.get_secret_value()
    limits = Limits(statement_s=settings.api_statement_timeout_s)
    standby = Standby(connections, url, addresses, limits, clock)
    standby.connections.turn = ConnectionTurns(standby.connections.max_size).turn
    return standby
