"""Hypothesis strategies for prices and quantities: valid by construction, with edges where faults like to hide."""

from decimal import Decimal

from hypothesis import strategies as st

from billing.core.pricing import PriceKind, PriceSpec, Tier

amounts = st.one_of(
    st.decimals(0, 1000, places=12),
    st.decimals(0, 1, places=4),
    st.sampled_from([Decimal("0.067"), Decimal("0.000000000001"), Decimal("0.005"), Decimal("49.99"), Decimal(0)]),
)
quantities = st.one_of(st.integers(0, 5000), st.integers(0, 10**12), st.sampled_from([0, 1, 10, 100, 1000]))


@st.composite
def tiers(draw: st.DrawFn, *, has_flats: bool = True) -> tuple[Tier, ...]:
    """Draw one to six tiers, the last one open."""
    bounds = sorted(draw(st.sets(st.integers(1, 3000), max_size=5)))
    flats = amounts if has_flats else st.just(Decimal(0))
    return tuple(Tier(bound, draw(amounts), draw(flats)) for bound in [*bounds, None])


flat = st.builds(PriceSpec, st.just(PriceKind.FLAT), amounts)
per_unit = st.builds(PriceSpec, st.just(PriceKind.PER_UNIT), amounts)
graduated = st.builds(PriceSpec, st.just(PriceKind.GRADUATED), tiers=tiers())
volume = st.builds(PriceSpec, st.just(PriceKind.VOLUME), tiers=tiers())
package = st.builds(PriceSpec, st.just(PriceKind.PACKAGE), amounts, package_size=st.integers(1, 2000))
included_units = st.integers(1, 3000)
included_flat = st.builds(PriceSpec, st.just(PriceKind.INCLUDED), amounts, included_units=included_units)
included_tiers = st.builds(PriceSpec, st.just(PriceKind.INCLUDED), tiers=tiers(), included_units=included_units)
included = included_flat | included_tiers
specs = flat | per_unit | graduated | volume | package | included
