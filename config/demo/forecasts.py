"""The made-up weather of the demo: pure values, always the same for a place and a time. No HTTP here: see `config.demo_upstream`."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

CITY_CHARACTERS_MAX = 80
SKIES = ("clear", "cloudy", "rain", "snow", "storm", "fog")
WINDS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
OBSERVATIONS = 6
"""How many observations a station tells, one an hour."""
FIRST_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the hours of a forecast begin: the demo's weather knows no clock, so that a call can be repeated and compared."""


def weather(city: str, day: int) -> dict[str, Any]:
    """Weather of a city on a day."""
    seed = hashlib.sha256(f"{city.lower()}|{day}".encode()).digest()
    return {
        "city": city[:CITY_CHARACTERS_MAX],
        "temperature_c": round(seed[0] / 255 * 45 - 10, 1),
        "humidity_percent": 20 + seed[1] % 80,
        "wind_kmh": seed[2] % 90,
        "sky": SKIES[seed[3] % len(SKIES)],
    }


def observation(place: str, hour: int) -> dict[str, Any]:
    """What it is like at a place in an hour, as the sample document's schema Observation has it."""
    seed = hashlib.sha256(f"{place.lower()}|hour {hour}".encode()).digest()
    return {
        "at": (FIRST_AT + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "celsius": round(seed[0] / 255 * 45 - 10, 1),
        "wind": {"speed_kmh": seed[1] % 90, "from": WINDS[seed[2] % len(WINDS)]},
    }


def hourly(city: str, *, hours: int) -> dict[str, Any]:
    """A forecast with one entry an hour, as the sample document's schema Forecast has it."""
    return {"city": city[:CITY_CHARACTERS_MAX], "hours": [observation(city, hour) for hour in range(hours)]}


def observations(station: str) -> list[dict[str, Any]]:
    """The newest observations of a station, newest first."""
    return [observation(station, hour) for hour in reversed(range(OBSERVATIONS))]
