/** The tables of a cache file, and how a file of an earlier version becomes one of this version. */

/** The format of the file, kept in its `user_version`. */
export const formatVersion = 2

const answers = `
  CREATE TABLE answers (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    namespace TEXT NOT NULL DEFAULT '',
    expires_at INTEGER
  )`

/** What version 2 has beside the answers. Rows are in the order in which they were stored, by their rowid. */
const beside: ReadonlyArray<string> = [
  "CREATE INDEX answers_namespace ON answers (namespace)",
  "CREATE INDEX answers_expiry ON answers (expires_at) WHERE expires_at IS NOT NULL",
  "CREATE TABLE leases (key TEXT PRIMARY KEY NOT NULL, owner TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
  "CREATE TABLE totals (namespace TEXT PRIMARY KEY NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID",
  // counting them anew would read the whole file
  `INSERT INTO totals
    SELECT namespace, count(*), sum(octet_length(value)) FROM answers GROUP BY namespace`,
  // an answer that is stored anew is the youngest; in triggers all this is one statement, and so one transaction
  `CREATE TRIGGER answer_replaced BEFORE INSERT ON answers BEGIN
    DELETE FROM answers WHERE key = new.key;
  END`,
  `CREATE TRIGGER answer_stored AFTER INSERT ON answers BEGIN
    INSERT INTO totals VALUES (new.namespace, 1, octet_length(new.value))
      ON CONFLICT (namespace) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
    DELETE FROM leases WHERE key = new.key;
  END`,
  `CREATE TRIGGER answer_deleted AFTER DELETE ON answers BEGIN
    UPDATE totals SET entries = entries - 1, bytes = bytes - octet_length(old.value)
      WHERE namespace = old.namespace;
  END`
]

/** Makes an empty file a cache. */
export const install: ReadonlyArray<string> = [answers, ...beside]

/** By the version of the file: what makes it one of this version. The rows themselves stay as they are. */
export const migrations: ReadonlyMap<number, ReadonlyArray<string>> = new Map([
  [
    1,
    [
      "ALTER TABLE answers ADD COLUMN namespace TEXT NOT NULL DEFAULT ''",
      "ALTER TABLE answers ADD COLUMN expires_at INTEGER",
      ...beside
    ]
  ]
])
