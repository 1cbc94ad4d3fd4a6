"""Currencies that Tollgate bills in, with the number of places of their minor unit. Our own table, on purpose.

ISO 4217, CLDR and Stripe disagree about a few (MGA, ISK); an invoice must not change when a library does. ISK is whole
króna here; that Stripe wants it times 100 is the processor's business. UGX and TWD stay out until Stripe's special rows
for them have been checked.
"""

from billing.core.errors import MoneyInvalid

_ZERO_PLACES = "BIF CLP DJF GNF ISK JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE_PLACES = "BHD IQD JOD KWD LYD OMR TND"
_TWO_PLACES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD "
    "PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SZL THB TJS TMT TOP TRY "
    "TTD TZS UAH USD UYU UZS WST XCD YER ZAR ZMW"
)

EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_TWO_PLACES.split(), 2),
    **dict.fromkeys(_ZERO_PLACES.split(), 0),
    **dict.fromkeys(_THREE_PLACES.split(), 3),
}
"""ISO 4217 code to places: 100 minor units of USD (2), 1 of JPY (0), 1,000 of KWD (3) make one major unit."""


def currency_exponent(currency: str) -> int:
    """Return the places of the currency's minor unit. Raises MoneyInvalid for a code that is not in the table."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise MoneyInvalid(f"{currency!r} is not a currency we bill in; use an upper-case ISO 4217 code") from None
