"""Cuts the tables of usage into months of UTC. Django's picture of them stays as it is: it knows no partitions.

A key of a partitioned table must hold the column that it is cut by: (id, opened_at) and (id, hour). The default partition takes
what has no month of its own. The months ahead are made after each ``migrate`` and by beat (marketplace.services.partitions).
Triggers of the whole table are PostgreSQL's to copy to every partition, also to later ones. Rows that are there are carried over.
"""

from django.db import migrations

SEGMENT = """
ALTER TABLE marketplace_usagesegment RENAME TO marketplace_usagesegment_whole;
CREATE TABLE marketplace_usagesegment
  (LIKE marketplace_usagesegment_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (opened_at);
CREATE TABLE marketplace_usagesegment_default PARTITION OF marketplace_usagesegment DEFAULT;
"""
SEGMENT_KEYS = """
DROP TABLE marketplace_usagesegment_whole;
ALTER TABLE marketplace_usagesegment
  ADD PRIMARY KEY (id, opened_at), ADD CONSTRAINT usage_segment_sequence_once UNIQUE (boot, sequence, opened_at);
CREATE INDEX usage_segment_received ON marketplace_usagesegment (received_at);
"""
TALLY = """
ALTER TABLE marketplace_usagetally RENAME TO marketplace_usagetally_whole;
CREATE TABLE marketplace_usagetally
  (LIKE marketplace_usagetally_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (hour);
CREATE TABLE marketplace_usagetally_default PARTITION OF marketplace_usagetally DEFAULT;
"""
# A sequence of its own instead of an identity: PostgreSQL below 17 has no identity in partitioned tables.
TALLY_KEYS = """
DROP TABLE marketplace_usagetally_whole;
CREATE SEQUENCE marketplace_usagetally_id_seq OWNED BY marketplace_usagetally.id;
ALTER TABLE marketplace_usagetally ALTER COLUMN id SET DEFAULT nextval('marketplace_usagetally_id_seq'), ADD PRIMARY KEY (id, hour);
SELECT setval('marketplace_usagetally_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM marketplace_usagetally), false);
CREATE INDEX usage_tally_segment ON marketplace_usagetally (segment_id);
CREATE INDEX usage_tally_grant_hour ON marketplace_usagetally (grant_id, hour);
CREATE INDEX usage_tally_api_hour ON marketplace_usagetally (api_id, hour);
CREATE INDEX usage_tally_app_hour ON marketplace_usagetally (app_id, hour);
"""
CARRY = """
DO $$ DECLARE month timestamptz; BEGIN
  FOR month IN SELECT DISTINCT date_trunc('month', {column}, 'UTC') FROM {table}_whole LOOP
    EXECUTE format('CREATE TABLE %I PARTITION OF {table} FOR VALUES FROM (%L) TO (%L)',
      '{table}_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'), month,
      ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
  END LOOP;
END $$;
INSERT INTO {table} SELECT * FROM {table}_whole;
"""
GUARD = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION tollgate_change_refuse();
"""


def _partitioned(table: str, column: str, *, whole: str, keys: str) -> str:
    return whole + CARRY.format(table=table, column=column) + keys + GUARD.format(table=table)


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0002_guards")]

    operations = [
        migrations.RunSQL(_partitioned("marketplace_usagetally", "hour", whole=TALLY, keys=TALLY_KEYS)),
        migrations.RunSQL(_partitioned("marketplace_usagesegment", "opened_at", whole=SEGMENT, keys=SEGMENT_KEYS)),
    ]
