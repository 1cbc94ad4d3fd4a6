"""Triggers that keep facts as they were: these tables take new rows and never change or lose one.

TRUNCATE is left alone (it needs the rights of the table's owner, and tests empty tables with it).
"""

from django.db import migrations

APPEND_ONLY = (
    "marketplace_deployment",
    "marketplace_activation",
    "marketplace_auditevent",
    "marketplace_usagesegment",
    "marketplace_usagetally",
)

FUNCTION = """
CREATE OR REPLACE FUNCTION tollgate_change_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% keeps facts: % is refused', TG_TABLE_NAME, lower(TG_OP) USING ERRCODE = 'restrict_violation';
END
$$;
"""


def _trigger(table: str) -> str:
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION tollgate_change_refuse();"
    )


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION IF EXISTS tollgate_change_refuse();"),
        *(
            migrations.RunSQL(_trigger(table), f"DROP TRIGGER IF EXISTS {table}_append_only ON {table};")
            for table in APPEND_ONLY
        ),
    ]
