"""Triggers that keep money honest whoever writes: the ledger balances and only grows, what was issued stays as it was.

TRUNCATE is left alone (it needs the rights of the table's owner, and tests empty tables with it).
"""

from django.db import migrations

APPEND_ONLY = (
    "billing_ledgeraccount",
    "billing_ledgertransaction",
    "billing_ledgerentry",
    "billing_subscriptionchange",
    "billing_invoicedocument",
    "billing_statementdocument",
    "billing_payment",
    "billing_paymentallocation",
    "billing_commissionrate",
    "billing_meter",
)

REFUSE = """
CREATE OR REPLACE FUNCTION billing_change_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% keeps facts: % is refused', TG_TABLE_NAME, lower(TG_OP) USING ERRCODE = 'restrict_violation';
END
$$;
"""

LEDGER_BALANCE = """
CREATE OR REPLACE FUNCTION billing_ledger_balance_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    booked uuid;
    wrong record;
BEGIN
    IF TG_TABLE_NAME = 'billing_ledgertransaction' THEN
        booked := NEW.id;
        IF (SELECT count(*) FROM billing_ledgerentry WHERE transaction_id = booked) < 2 THEN
            RAISE EXCEPTION 'ledger transaction % has fewer than two entries', booked USING ERRCODE = 'check_violation';
        END IF;
    ELSE
        booked := NEW.transaction_id;
    END IF;
    SELECT currency, sum(amount_minor) AS rest INTO wrong FROM billing_ledgerentry
        WHERE transaction_id = booked GROUP BY currency HAVING sum(amount_minor) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % does not balance: % % remain', booked, wrong.rest, wrong.currency
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER billing_ledgerentry_balance AFTER INSERT ON billing_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_ledger_balance_check();
CREATE CONSTRAINT TRIGGER billing_ledgertransaction_balance AFTER INSERT ON billing_ledgertransaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_ledger_balance_check();
"""

LEDGER_CURRENCY = """
CREATE OR REPLACE FUNCTION billing_ledger_currency_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.currency <> (SELECT currency FROM billing_ledgeraccount WHERE id = NEW.account_id) THEN
        RAISE EXCEPTION 'a ledger entry has the currency of its account' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_ledgerentry_currency BEFORE INSERT ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION billing_ledger_currency_check();
"""

INVOICE = """
CREATE OR REPLACE FUNCTION billing_invoice_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    open_fields text[] := ARRAY['payment_status', 'paid_minor', 'paid_at', 'sent_at'];
BEGIN
    IF OLD.status NOT IN ('issued', 'void') THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'an issued invoice is never deleted' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.status = 'issued' AND NEW.status = 'void' THEN
        open_fields := open_fields || ARRAY['status', 'voided_at', 'voided_by_id', 'void_reason'];
    END IF;
    IF to_jsonb(OLD) - open_fields IS DISTINCT FROM to_jsonb(NEW) - open_fields THEN
        RAISE EXCEPTION 'an issued invoice is never changed; correct it by another document'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_invoice_guard BEFORE UPDATE OR DELETE ON billing_invoice
    FOR EACH ROW EXECUTE FUNCTION billing_invoice_guard();

CREATE OR REPLACE FUNCTION billing_invoiceline_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM billing_invoice WHERE status IN ('issued', 'void')
            AND (TG_OP <> 'INSERT' AND id = OLD.invoice_id OR TG_OP <> 'DELETE' AND id = NEW.invoice_id)
    ) THEN
        RAISE EXCEPTION 'the lines of an issued invoice are never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER billing_invoiceline_guard BEFORE INSERT OR UPDATE OR DELETE ON billing_invoiceline
    FOR EACH ROW EXECUTE FUNCTION billing_invoiceline_guard();
"""

USAGE = """
CREATE OR REPLACE FUNCTION billing_usage_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.invoice_id IS NOT NULL
            AND EXISTS (SELECT 1 FROM billing_invoice WHERE id = OLD.invoice_id AND status = 'issued') THEN
        RAISE EXCEPTION 'usage on an issued invoice is frozen' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.invoice_id IS NOT NULL
            AND EXISTS (SELECT 1 FROM billing_invoice WHERE id = NEW.invoice_id AND status IN ('issued', 'void')) THEN
        RAISE EXCEPTION 'usage is never added to an issued invoice' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER billing_usagerecord_guard BEFORE INSERT OR UPDATE OR DELETE ON billing_usagerecord
    FOR EACH ROW EXECUTE FUNCTION billing_usage_guard();
CREATE TRIGGER billing_lateusage_guard BEFORE INSERT OR UPDATE OR DELETE ON billing_lateusage
    FOR EACH ROW EXECUTE FUNCTION billing_usage_guard();
CREATE TRIGGER billing_billingperiod_guard BEFORE INSERT OR UPDATE OR DELETE ON billing_billingperiod
    FOR EACH ROW EXECUTE FUNCTION billing_usage_guard();
"""

PRICE = """
CREATE OR REPLACE FUNCTION billing_price_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    open_fields text[] := ARRAY['effective_until', 'superseded_by_id'];
BEGIN
    IF OLD.published_at IS NULL THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE' OR OLD.effective_until IS NOT NULL
            OR to_jsonb(OLD) - open_fields IS DISTINCT FROM to_jsonb(NEW) - open_fields THEN
        RAISE EXCEPTION 'a published price is never edited; supersede it' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_price_guard BEFORE UPDATE OR DELETE ON billing_price
    FOR EACH ROW EXECUTE FUNCTION billing_price_guard();

CREATE OR REPLACE FUNCTION billing_tier_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM billing_price WHERE published_at IS NOT NULL
            AND (TG_OP <> 'INSERT' AND id = OLD.price_id OR TG_OP <> 'DELETE' AND id = NEW.price_id)
    ) THEN
        RAISE EXCEPTION 'the tiers of a published price are never edited' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER billing_tier_guard BEFORE INSERT OR UPDATE OR DELETE ON billing_tier
    FOR EACH ROW EXECUTE FUNCTION billing_tier_guard();
"""

STATEMENT = """
CREATE OR REPLACE FUNCTION billing_statement_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'issued' THEN
        RAISE EXCEPTION 'an issued statement is never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER billing_statement_guard BEFORE UPDATE OR DELETE ON billing_providerstatement
    FOR EACH ROW EXECUTE FUNCTION billing_statement_guard();

CREATE OR REPLACE FUNCTION billing_statementline_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM billing_providerstatement WHERE status = 'issued'
            AND (TG_OP <> 'INSERT' AND id = OLD.statement_id OR TG_OP <> 'DELETE' AND id = NEW.statement_id)
    ) THEN
        RAISE EXCEPTION 'the lines of an issued statement are never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER billing_statementline_guard BEFORE INSERT OR UPDATE OR DELETE ON billing_providerstatementline
    FOR EACH ROW EXECUTE FUNCTION billing_statementline_guard();
"""

SERIES = """
CREATE OR REPLACE FUNCTION billing_numberseries_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.code <> OLD.code OR NEW.last_number <> OLD.last_number + 1 THEN
        RAISE EXCEPTION 'a number series moves on by one' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_numberseries_guard BEFORE UPDATE OR DELETE ON billing_numberseries
    FOR EACH ROW EXECUTE FUNCTION billing_numberseries_guard();
"""

FUNCTIONS = (
    "billing_change_refuse",
    "billing_ledger_balance_check",
    "billing_ledger_currency_check",
    "billing_invoice_guard",
    "billing_invoiceline_guard",
    "billing_usage_guard",
    "billing_price_guard",
    "billing_tier_guard",
    "billing_statement_guard",
    "billing_statementline_guard",
    "billing_numberseries_guard",
)


def _append_only(table: str) -> str:
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION billing_change_refuse();"
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "\n".join(
                [
                    REFUSE,
                    *(_append_only(table) for table in APPEND_ONLY),
                    LEDGER_BALANCE,
                    LEDGER_CURRENCY,
                    INVOICE,
                    USAGE,
                    PRICE,
                    STATEMENT,
                    SERIES,
                ]
            ),
            "\n".join(f"DROP FUNCTION IF EXISTS {function}() CASCADE;" for function in FUNCTIONS),
        )
    ]
