-- An archive as version 0.1.0 wrote it (user_version 1), table by table in the order of the file.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA application_id = 1397178706;
PRAGMA user_version = 1;
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (
    measurement TEXT, field TEXT, is_text INTEGER NOT NULL, PRIMARY KEY (measurement, field)
) WITHOUT ROWID;
CREATE TABLE seen (
    session TEXT, upto INTEGER, pairs BLOB NOT NULL, PRIMARY KEY (session, upto)
) WITHOUT ROWID;
CREATE TABLE series (
        id INTEGER PRIMARY KEY, measurement TEXT NOT NULL, device TEXT NOT NULL,
        tags TEXT NOT NULL, prefix TEXT NOT NULL UNIQUE
    );
CREATE TABLE fields (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE samples (
        time INTEGER, series INTEGER, field INTEGER, value REAL, text TEXT,
        time_source INTEGER NOT NULL, PRIMARY KEY (time, series, field)
    ) WITHOUT ROWID;
CREATE VIEW readings AS SELECT
        series.measurement, series.device, fields.name AS field, samples.value, samples.text,
        samples.time / 1e9 AS time,
        strftime('%Y-%m-%dT%H:%M:%fZ', samples.time / 1e9, 'unixepoch') AS iso_time,
        samples.time AS time_ns,
        CASE samples.time_source WHEN 1 THEN 'device' ELSE 'arrival' END AS time_source,
        series.tags
        FROM samples JOIN series ON series.id = samples.series JOIN fields
        ON fields.id = samples.field;
INSERT INTO "fields" VALUES(1,'temperature');
INSERT INTO "pins" VALUES('sensor','temperature',0);
INSERT INTO "samples" VALUES(1800000000000000000,1,1,21.5,NULL,0);
INSERT INTO "series" VALUES(1,'sensor','mast','{"device": "mast"}','sensor,device=mast');
INSERT INTO "totals" VALUES('delivered',1);
INSERT INTO "totals" VALUES('spooled',1);
